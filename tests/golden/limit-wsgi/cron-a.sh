_job=cron-a
_release=1
_checkout=ROOT/releases/shop/v1
_command='bash --norc -c true'
_hours=3
_months='1 2 3 4 5 6 7 8 9 10 11 12'
_days='1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31'
_weekdays='0 1 2 3 4 5 6'
_either=''
_by_clock=yes
_log=ROOT/logs/shop/cron-a.1.log
_log_maxsize=1048576
_lock=ROOT/releases/shop/cron/cron-a.lock
_status=ROOT/releases/shop/cron/cron-a.json
# Runs a scheduled job if it is due, once a minute and once at a time; called by uWSGI, or with "now"
# by cron:run. The lines above say which job. Their names begin with "_": what the app has exported
# must reach the job unchanged.
#
# Two schedulers may call in one minute, around a deploy: the lock file holds the time of the last
# run. It is not the job's to hold, or a program that the job leaves behind would end all runs.
unset UWSGI_EMPEROR_FD UWSGI_ORIGINAL_PROC_NAME UWSGI_RELOADS
_path=$PATH PATH=/usr/bin:/bin
set -- "$1" $(date '+%s %Y%m%d%H%M %-H %-m %-d %w')
_by=$1 _epoch=$2 _clock=$3 _hour=$4 _month=$5 _day=$6 _weekday=$7

say() {
    [ -z "$(tail -c 1 "$_log" 2>/dev/null)" ] || echo >>"$_log"
    echo "$(date '+%Y-%m-%d %H:%M:%S %z') [piku] $_job $*" >>"$_log"
}

status() {
    printf '{"release": %s, "started": %s, "ended": %s, "code": %s}\n' \
        "$_release" "$_epoch" "$1" "$2" >"$_status.new"
    mv "$_status.new" "$_status"
}

has() {
    case " $1 " in *" $2 "*) ;; *) return 1 ;; esac
}

due() {
    has "$_hours" "$_hour" && has "$_months" "$_month" || return
    if [ "$_either" ]; then
        has "$_days" "$_day" || has "$_weekdays" "$_weekday"
    else
        has "$_days" "$_day" && has "$_weekdays" "$_weekday"
    fi
}

# Whether this minute has had its run. With a given hour, what the clock shows for the second time
# does not count.
seen() {
    [ "$_by" != now ] && read -r _last _shown <"$_lock" || return 1
    [ $((_last / 60)) -eq $((_epoch / 60)) ] && return
    [ "$_by_clock" ] && [ "$_clock" -le "$_shown" ] && [ "$_epoch" -gt "$_last" ] \
        && [ $((_epoch - _last)) -lt 7200 ]
}

[ "$_by" = now ] || due || exit 0
exec 9<>"$_lock"
if ! flock -w 2 9; then
    seen || say "is skipped: the run before has not ended"
    exit
fi
seen && exit
[ "$_by" = now ] || echo "$_epoch $_clock" >"$_lock"
[ "$(stat -c %s "$_log" 2>/dev/null || echo 0)" -lt "$_log_maxsize" ] || mv "$_log" "$_log.old"
trap : INT TERM
status null null
say "of v$_release starts"
cd "$_checkout" && eval "PATH=\$_path $_command" </dev/null >>"$_log" 2>&1 9<&-
_code=$? _end=$(date +%s)
status "$_end" "$_code"
say "of v$_release ended with exit code $_code after $((_end - _epoch)) s"
exit $_code
