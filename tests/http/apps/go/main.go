// The same for Go's own server.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	n, _ := strconv.Atoi(r.FormValue("n"))
	gap, _ := strconv.ParseFloat(r.FormValue("gap"), 64)
	for number := 0; number < n; number++ {
		if number > 0 {
			time.Sleep(time.Duration(gap * float64(time.Second)))
		}
		fmt.Fprintf(w, "data: %d\n\n", number)
		w.(http.Flusher).Flush()
	}
}

func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprint(w, "begun")
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func echo(w http.ResponseWriter, r *http.Request) {
	hash := sha256.New()
	length, _ := io.Copy(hash, r.Body)
	headers := map[string]string{"host": r.Host}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"method":  r.Method,
		"target":  r.RequestURI,
		"headers": headers,
		"client":  r.Header.Get("X-Real-IP"),
		"scheme":  r.Header.Get("X-Forwarded-Proto"),
		"length":  length,
		"sha256":  hex.EncodeToString(hash.Sum(nil)),
	})
}

func main() {
	http.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(401)
		fmt.Fprint(w, "who are you?")
	})
	http.HandleFunc("/cookies", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("bytes"))
		w.Header().Set("Set-Cookie", "all="+strings.Repeat("c", n))
		fmt.Fprint(w, "baked")
	})
	http.HandleFunc("/events", events)
	http.HandleFunc("/cut", cut)
	http.HandleFunc("/", echo)
	logged := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.RequestURI) // before the mux, which may answer by itself
		http.DefaultServeMux.ServeHTTP(w, r)
	})
	http.ListenAndServe(os.Getenv("BIND_ADDRESS")+":"+os.Getenv("PORT"), logged)
}
