# cron-a of v1; called by uWSGI, or with "now" by cron:run.
unset UWSGI_EMPEROR_FD UWSGI_ORIGINAL_PROC_NAME UWSGI_RELOADS
path=$PATH PATH=/usr/bin:/bin
set -- "$1" $(date '+%s %Y%m%d%H%M %-H %-m %-d %w')
by=$1 epoch=$2 clock=$3 hour=$4 month=$5 day=$6/$7
say() {
    [ -z "$(tail -c 1 ROOT/logs/shop/cron-a.1.log 2>/dev/null)" ] || echo >>ROOT/logs/shop/cron-a.1.log
    echo "$(date '+%Y-%m-%d %H:%M:%S %z') [piku] cron-a $*" >>ROOT/logs/shop/cron-a.1.log
}
status() {
    printf '{"release": 1, "started": %s, "ended": %s, "code": %s}\n' \
        "$epoch" "$1" "$2" >ROOT/releases/shop/cron/cron-a.json.new
    mv ROOT/releases/shop/cron/cron-a.json.new ROOT/releases/shop/cron/cron-a.json
}
seen() {
    [ "$by" != now ] && read -r last shown <ROOT/releases/shop/cron/cron-a.lock || return 1
    [ $((last / 60)) -eq $((epoch / 60)) ] \
        || { [ "$clock" -le "$shown" ] && [ "$epoch" -gt "$last" ]             && [ $((epoch - last)) -lt 7200 ]; }
}
if [ "$by" != now ]; then
    case $hour in 3) ;; *) exit ;; esac
    case $month in 1|2|3|4|5|6|7|8|9|10|11|12) ;; *) exit ;; esac
    case $day in */*) ;; *) exit ;; esac
fi
exec 9<>ROOT/releases/shop/cron/cron-a.lock
if ! flock -w 2 9; then
    seen || say "is skipped: the run before has not ended"
    exit
fi
seen && exit
[ "$by" = now ] || echo "$epoch $clock" >ROOT/releases/shop/cron/cron-a.lock
[ "$(stat -c %s ROOT/logs/shop/cron-a.1.log 2>/dev/null || echo 0)" -lt 1048576 ] || mv ROOT/logs/shop/cron-a.1.log ROOT/logs/shop/cron-a.1.log.old
trap : INT TERM
status null null
say "of v1 starts"
cd ROOT/releases/shop/v1 && PATH=$path bash --norc -c true </dev/null >>ROOT/logs/shop/cron-a.1.log 2>&1 9<&-
code=$? end=$(date +%s)
status "$end" "$code"
say "of v1 ended with exit code $code after $((end - epoch)) s"
exit $code
