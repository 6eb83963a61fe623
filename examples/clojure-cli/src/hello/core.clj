(ns hello.core
  "A web server of one's own, from what Java brings: it listens where Piku tells it to."
  (:gen-class)
  (:import (com.sun.net.httpserver HttpExchange HttpHandler HttpServer)
           (java.net InetSocketAddress)
           (java.util.concurrent Executors)))

(def greeting "Hello from Clojure")

(defn page []
  (str greeting " " (clojure-version) ", release " (System/getenv "PIKU_RELEASE") "\n"))

(def handler
  (reify HttpHandler
    (^void handle [_ ^HttpExchange exchange]
      (let [body (.getBytes ^String (page) "UTF-8")]
        (.add (.getResponseHeaders exchange) "Content-Type" "text/plain; charset=utf-8")
        (.sendResponseHeaders exchange 200 (count body))
        (.write (.getResponseBody exchange) body)
        (.close exchange)))))

(defn -main [& _]
  (let [host (or (System/getenv "BIND_ADDRESS") "127.0.0.1")
        port (Integer/parseInt (or (System/getenv "PORT") "8080"))
        server (HttpServer/create (InetSocketAddress. ^String host port) 128)]
    (.createContext server "/" handler)
    (.setExecutor server (Executors/newFixedThreadPool 4))
    ;; SIGTERM: answer open requests, for at most a second.
    (.addShutdownHook (Runtime/getRuntime) (Thread. ^Runnable #(.stop server 1)))
    (.start server)))
