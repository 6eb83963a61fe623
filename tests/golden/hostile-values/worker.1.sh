unset UWSGI_EMPEROR_FD
echo $$ >>ROOT/releases/a.b-c_d/activations/1/worker.1.starts
exec bash --norc -c 'printf '"'"'%%s'"'"' "$QUOTES" '"'"'$(id)'"'"' ; exec sleep 60 # 100%%'
