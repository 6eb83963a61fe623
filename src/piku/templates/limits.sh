# Puts a process under its app's limits, and says in its log when one was killed for them.
#     join PID WORKER LOG              a uWSGI that starts
#     report - WORKER LOG              one of its worker processes that starts
#     run - WORKER LOG PROGRAM...      a program: joins, reports, and becomes it
# Groups are made when they are needed: the kernel forgets them at each boot.
[ ! -d /run/piku-sandbox ] || exit 0 # inside its walls, a uWSGI that has joined before
_path=$PATH PATH=/usr/sbin:/usr/bin:/sbin:/bin
action=$1 pid=$2 worker=$3 log=$4
app=$groups/$group own=$groups/$group/$worker

put() { { printf '%s\n' "$2" >"$1"; } 2>/dev/null; }
say() { printf '[piku] %s\n' "$1" >>"$log"; }
not_kept() { say "$1 is not kept: piku was started without a cgroup of its own"; }

join() {
    [ ! -d "$groups/" ] || mkdir -p "$app" 2>/dev/null
    if [ -n "$memory" ] && put "$app/memory.max" "$memory"; then
        put "$app/memory.swap.max" 0
        put "$app/cgroup.subtree_control" +memory
    elif [ -n "$memory" ]; then
        prlimit --pid "$pid" --data="$memory:$memory" 2>/dev/null || not_kept "PIKU_MEMORY_LIMIT=$memory_said"
    fi
    [ -z "$cpu" ] || put "$app/cpu.max" "$cpu 100000" || not_kept "PIKU_CPU_LIMIT=$cpu_said"
    [ -z "$pids" ] || put "$app/pids.max" "$pids" || not_kept "PIKU_NPROC_LIMIT=$pids"
    # A new group counts from 0.
    if mkdir "$own" 2>/dev/null; then rmdir "$folder/$worker.killed".* 2>/dev/null; fi
    put "$own/memory.max" "$memory" # where Java looks
    # A program is killed with all that it has started; of what uWSGI serves, one worker process.
    [ "$action" = join ] || put "$own/memory.oom.group" 1
    put "$own/cgroup.procs" "$pid"
}

# The kernel counts what it kills; of several that look, one makes the folder named by that number.
report() {
    count=$(sed -n 's/^oom_kill //p' "$own/memory.events" 2>/dev/null)
    [ "${count:-0}" -gt 0 ] && mkdir "$folder/$worker.killed.$count" 2>/dev/null || return 0
    if grep -q '^oom 0$' "$app/memory.events"; then
        say "killed: the server had no memory left; started again"
    else
        say "killed: the app used more than PIKU_MEMORY_LIMIT=$memory_said; started again"
    fi
}

[ "$action" != run ] || pid=$$
[ "$action" = report ] || join
report
[ "$action" != run ] || { shift 4; PATH=$_path; exec "$@"; }
exit 0
