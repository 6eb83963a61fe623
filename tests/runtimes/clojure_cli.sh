#!/bin/bash
# Stands for the Clojure CLI, which no registry here has: like it, it makes a classpath of deps.edn and
# becomes Java with it. It knows -P, -T:ALIAS FUNCTION and -M ..., and neither -Sdeps nor what libraries need.
set -eu
make_classpath() { java -cp /usr/share/java/clojure.jar clojure.main "$(dirname "$0")/classpath.clj" "$@"; }
if [ "$1" = -P ]; then
    shift
    make_classpath "$@" >/dev/null
    exit
fi
classpath=$(make_classpath "$@")
case $1 in
    -T:*) exec java -cp "$classpath" clojure.main -e "(require 'build) ((resolve 'build/$2) {})" ;;
    -M) shift && exec java -cp "$classpath" clojure.main "$@" ;;
esac
exit 2
