(ns build
  (:require [clojure.java.io :as io]))

(defn release
  "`clojure -T:build release` calls this before a release goes live: compiled, it starts faster."
  [_]
  (let [classes (io/file "target" "classes")]
    (.mkdirs classes)
    (binding [*compile-path* (str classes)]
      (compile 'hello.core))
    (println "Compiled to" (str classes))))
