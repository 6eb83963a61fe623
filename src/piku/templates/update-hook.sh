#!/bin/sh
# git refuses an annotated tag as a branch, but gives no reason that a person could use.
case "$1 $(git cat-file -t "$3" 2>&1)" in "refs/heads/"*" tag")
    echo " !     a branch holds no annotated tag; push its commit: git push REMOTE TAG^{}:$1"
    exit 1
esac
