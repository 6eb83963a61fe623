# Puts a process under the limits of its app, and tells in its log when it was killed for them.
#     join PID WORKER LOG [NOTES]   as it starts; a daemon's has NOTES
#     tell 0 WORKER LOG             as one of its worker processes starts
# Groups are made as they are needed: the kernel forgets them at each boot.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
pid=$2 worker=$3 log=$4 notes=$5

put() { { printf '%s\n' "$2" >"$1"; } 2>/dev/null; }

say() {
    if [ -n "$notes" ]; then
        printf '\033]7331;%s\007[piku] %s\n' "$(date +%s%3N)" "$1"
    else
        printf -- '-----> %s [piku] %s\n' "$(date -u '+%Y-%m-%d %H:%M:%S UTC')" "$1"
    fi >>"$log"
}

# Whether there is such a group, with its limit in the first of the files $3... that its version has.
limit() {
    app=$groups/$1/$group own=$groups/$1/$group/$worker value=$2
    [ -d "$groups/$1/" ] && mkdir -p "$app" 2>/dev/null || return 1
    shift 2
    for file; do
        [ -e "$app/$file" ] && put "$app/$file" "$value" && return
    done
    return 1
}

enter() {
    put "$app/cgroup.subtree_control" +memory
    if mkdir "$own" 2>/dev/null; then
        [ "$app" != "$groups/memory/$group" ] || rmdir "$folder/$worker.killed".* 2>/dev/null
    fi
    put "$own/cgroup.procs" "$pid"
}

join() {
    if [ -n "$memory" ] && limit memory "$memory" memory.max memory.limit_in_bytes && enter; then
        put "$app/memory.swap.max" 0
        put "$own/memory.max" "$memory" # where Java looks for what it may take
        put "$app/memory.memsw.limit_in_bytes" "$memory"
        # A daemon is killed with all that it has started; of what uWSGI serves, the one worker process.
        [ -z "$notes" ] || put "$own/memory.oom.group" 1
    elif [ -n "$memory" ]; then
        prlimit --pid "$pid" --data="$memory:$memory" 2>/dev/null ||
            say "PIKU_MEMORY_LIMIT=$memory_said is not kept: the kernel refuses it"
    fi
    if [ -n "$processor" ]; then
        { limit cpu "$processor 100000" cpu.max || limit cpu "$processor" cpu.cfs_quota_us; } && enter ||
            say "PIKU_CPU_LIMIT=$processor_said is not kept: piku was started without a cgroup of its own"
    fi
    if [ -n "$tasks" ]; then
        limit pids "$tasks" pids.max && enter ||
            say "PIKU_NPROC_LIMIT=$tasks is not kept: piku was started without a cgroup of its own"
    fi
}

# Whether the group around them has met its limit. Version 2 counts that; version 1 knows the most it had.
met() {
    if [ -e "$app/memory.events" ]; then
        ! grep -q '^oom 0$' "$app/memory.events"
    else
        most=$(cat "$app/memory.max_usage_in_bytes")
        [ "$((most + most / 16))" -ge "$memory" ]
    fi 2>/dev/null
}

# The kernel counts whom it kills; who makes the folder named by that number tells of it.
tell() {
    app=$groups/memory/$group
    own=$app/$worker
    count=$(sed -n 's/^oom_kill //p' "$own/memory.events" "$own/memory.oom_control" 2>/dev/null)
    [ "${count:-0}" -gt 0 ] && mkdir "$folder/$worker.killed.$count" 2>/dev/null || return 0
    for old in "$folder/$worker.killed".*; do
        [ "$old" = "$folder/$worker.killed.$count" ] || rmdir "$old" 2>/dev/null
    done
    if met; then
        say "killed: the app used more than PIKU_MEMORY_LIMIT=$memory_said; started again"
    else
        say "killed: the server had no memory left; started again"
    fi
    # Who notes the end of a daemon was killed with it.
    case $notes,$(tail -n 1 "$notes" 2>/dev/null) in
        ?*,start*) printf 'end 137 %s\n' "$(date +%s)" >>"$notes" ;;
    esac
}

case $1 in join) join ;; esac
[ -z "$memory" ] || tell
exit 0
