unset UWSGI_EMPEROR_FD
echo $$ >>ROOT/releases/shop/activations/1/web.1.starts
exec bash --norc -c 'sleep 60'
