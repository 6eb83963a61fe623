unset UWSGI_EMPEROR_FD
trap : TERM CONT
/usr/bin/env --default-signal=INT,QUIT setpriv --pdeathsig KILL -- /bin/sh ROOT/releases/shop/starts/1/limits.sh run - web.1 ROOT/logs/shop/web.1@1.log bash --norc -c 'sleep 60' &
set -- $!
trap 'trap : CONT; set -- "$1" stopping; kill -TERM 0' CONT
while wait "$1"; set -- "$1" "${2-}" $?; kill -0 "$1" 2>/dev/null; do :; done
[ "$2" ] || echo "[piku] web.1 ended with exit code $3"
exit $3
