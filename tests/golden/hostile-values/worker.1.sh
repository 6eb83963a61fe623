unset UWSGI_EMPEROR_FD
notes=ROOT/releases/a.b-c_d/activations/1/worker.1.notes
trap : TERM
setpriv --pdeathsig KILL -- sh -c 'echo "start $$ $(date +%s)" >>"$0"; exec "$@"' "$notes" bash --norc -c 'printf '"'"'%%s'"'"' "$QUOTES" '"'"'$(id)'"'"' ; exec sleep 60 # 100%%'
code=$?
echo "end $code $(date +%s)" >>"$notes"
exit $code
