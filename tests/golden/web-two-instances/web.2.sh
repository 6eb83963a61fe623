unset UWSGI_EMPEROR_FD
set -- ROOT/releases/shop/activations/1/web.2.notes
trap : TERM CONT
/usr/bin/env --default-signal=INT,QUIT setpriv --pdeathsig KILL -- \
    sh -c 'echo "start $$ $(date +%s)" >>"$0"; exec "$@"' "$1" bash --norc -c 'sleep 60' &
trap 'trap : CONT; kill -TERM 0' CONT
set -- "$1" $!
while wait "$2"; set -- "$1" "$2" $?; kill -0 "$2" 2>/dev/null; do :; done
echo "end $3 $(date +%s)" >>"$1"
exit $3
