unset UWSGI_EMPEROR_FD
notes=ROOT/releases/shop/activations/1/queue_2.1.notes
trap : TERM
setpriv --pdeathsig KILL -- sh -c 'echo "start $$ $(date +%s)" >>"$0"; exec "$@"' "$notes" bash --norc -c 'sleep 61'
code=$?
echo "end $code $(date +%s)" >>"$notes"
exit $code
