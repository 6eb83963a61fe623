unset UWSGI_EMPEROR_FD
notes=ROOT/releases/shop/activations/1/web.1.notes
trap : TERM
setpriv --pdeathsig KILL -- sh -c 'echo "start $$ $(date +%s)" >>"$0"; exec "$@"' "$notes" bash --norc -c 'sleep 60'
code=$?
echo "end $code $(date +%s)" >>"$notes"
exit $code
