# Runs nginx and the uWSGI emperor in the foreground until told to stop, or until one of them ends.
# bash, not sh, for `wait -n`. $1 nginx, $2 its configuration, $3 uwsgi, $4 the emperor's ini,
# $5 a variable for nginx.
# Descriptors 8 and 9 are the locks of a running platform: this process alone holds them.
stop() {
    asked=yes
    [ -z "$nginx" ] || kill -QUIT "$nginx" 2>/dev/null
    [ -z "$emperor" ] || kill -INT "$emperor" 2>/dev/null
}
trap stop TERM INT HUP
# bash has what it starts in the background ignore INT and QUIT: one that comes early would be lost.
env --default-signal=INT,QUIT "$5" "$1" -e stderr -c "$2" -g 'daemon off;' 8>&- 9>&- &
nginx=$!
env --default-signal=INT,QUIT "$3" --ini "$4" 8>&- 9>&- &
emperor=$!
[ -z "$asked" ] || stop
wait -n "$nginx" "$emperor"
if [ -z "$asked" ]; then
    kill -0 "$nginx" 2>/dev/null || echo " !     nginx has ended, so piku stops" >&2
    kill -0 "$emperor" 2>/dev/null || echo " !     the uWSGI emperor has ended, so piku stops" >&2
    failed=1
    stop
fi
# nginx waits for its clients to finish, but not for ever.
perl -e 'sleep 30; kill TERM => shift' "$nginx" 8>&- 9>&- &
timer=$!
# A signal interrupts `wait`. By number, it also knows of an end that came before it (`-n` may not).
for each in "$nginx" "$emperor"; do
    while kill -0 "$each" 2>/dev/null; do wait "$each"; done
done
kill "$timer" 2>/dev/null
exit "${failed:-0}"
