// A web server that listens where Piku tells it to, and answers open requests before it ends.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/google/uuid"
)

const greeting = "Hello from Go"

func main() {
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(answer, "%s, release %s, request %s\n", greeting, os.Getenv("PIKU_RELEASE"), uuid.NewString())
	})
	server := &http.Server{Addr: os.Getenv("BIND_ADDRESS") + ":" + os.Getenv("PORT")}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	done := make(chan error)
	go func() {
		<-stop.Done()
		done <- server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-done
}
