;; Prints the classpath of the project here, or of its alias when the first word is -T:ALIAS.
(require '[clojure.edn :as edn] '[clojure.java.io :as io] '[clojure.string :as str])

(defn stored [file]
  (if (.exists file) (edn/read-string (slurp file)) {}))

(def repository
  (:mvn/local-repo (stored (io/file (System/getenv "CLJ_CONFIG") "deps.edn"))
                   (str (System/getProperty "user.home") "/.m2/repository")))

(defn jar [[library {version :mvn/version}]]
  (let [folder (io/file repository (str/replace (namespace library) "." "/") (name library) version)
        file (io/file folder (str (name library) "-" version ".jar"))]
    (when-not (.exists file)
      (binding [*out* *err*]
        (println "Error building classpath. Could not find artifact" (str library ":jar:" version)))
      (System/exit 1))
    (.getCanonicalPath file)))

(let [project (stored (io/file "deps.edn"))
      [_ alias] (re-matches #"-T:(.*)" (str (first *command-line-args*)))
      {:keys [paths deps]} (if alias (get-in project [:aliases (keyword alias)]) project)]
  (println (str/join ":" (concat paths (map jar deps)))))
