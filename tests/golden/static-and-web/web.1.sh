unset UWSGI_EMPEROR_FD
set -- ROOT/releases/shop/activations/1/web.1.notes
trap : TERM
setpriv --pdeathsig KILL -- sh -c 'echo "start $$ $(date +%s)" >>"$0"; exec "$@"' "$1" bash --norc -c 'sleep 60'
set -- "$1" $?
echo "end $2 $(date +%s)" >>"$1"
exit $2
