(defproject hello "1"
  :dependencies [[org.clojure/clojure "1.11.1"]]
  :main hello.core
  :aot :all
  :uberjar-name "hello-standalone.jar")
