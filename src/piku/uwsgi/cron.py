"""An app's scheduled jobs: uWSGI's cron lines, and the script that they call. Pure.

uWSGI compares whole numbers with the clock once a second. A line for any minute is called 60 s
after its last time, and so drifts until it misses a minute; a line for one minute is called in its
first second. So there is a line for each minute, and the script looks at hour and day.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from piku import subprocesses
from piku.app.procfile import Job
from piku.app.schedule import Schedule
from piku.paths import AppPaths
from piku.uwsgi import ini

# Two schedulers may call in one minute, around a deploy: the lock file holds the time of the last
# run. It is not the job's to hold, or a program that the job leaves behind would end all runs.
# `{again}`: with a given hour, what the clock shows for the second time does not count.
_SCRIPT = """\
# {job} of v{release}; called by uWSGI, or with "now" by cron:run.
unset UWSGI_EMPEROR_FD UWSGI_ORIGINAL_PROC_NAME UWSGI_RELOADS
path=$PATH PATH=/usr/bin:/bin
set -- "$1" $(date '+%s %Y%m%d%H%M %-H %-m %-d %w')
by=$1 epoch=$2 clock=$3 hour=$4 month=$5 day=$6/$7
say() {{
    [ -z "$(tail -c 1 {log} 2>/dev/null)" ] || echo >>{log}
    echo "$(date '+%Y-%m-%d %H:%M:%S %z') [piku] {job} $*" >>{log}
}}
status() {{
    printf '{{"release": {release}, "started": %s, "ended": %s, "code": %s}}\\n' \\
        "$epoch" "$1" "$2" >{status}.new
    mv {status}.new {status}
}}
seen() {{
    [ "$by" != now ] && read -r last shown <{lock} || return 1
    [ $((last / 60)) -eq $((epoch / 60)) ]{again}
}}
if [ "$by" != now ]; then
    case $hour in {hours}) ;; *) exit ;; esac
    case $month in {months}) ;; *) exit ;; esac
    case $day in {days}) ;; *) exit ;; esac
fi
exec 9<>{lock}
if ! flock -w 2 9; then
    seen || say "is skipped: the run before has not ended"
    exit
fi
seen && exit
[ "$by" = now ] || echo "$epoch $clock" >{lock}
[ "$(stat -c %s {log} 2>/dev/null || echo 0)" -lt {log_maxsize} ] || mv {log} {log}.old
trap : INT TERM
status null null
say "of v{release} starts"
cd {checkout} && PATH=$path {command} </dev/null >>{log} 2>&1 9<&-
code=$? end=$(date +%s)
status "$end" "$code"
say "of v{release} ended with exit code $code after $((end - epoch)) s"
exit $code
"""
_AGAIN = """ \\
        || {{ [ "$clock" -le "$shown" ] && [ "$epoch" -gt "$last" ] \
            && [ $((epoch - last)) -lt 7200 ]; }}"""


def state_folder(app: AppPaths) -> Path:
    """Where the jobs keep their locks and the record of their last run."""
    return app.releases / "cron"


def lines(job: Job, script: str) -> ini.Pairs:
    """uWSGI's options for a job."""
    command = f"exec env -u PIKU_PROCESS PIKU_CRON={job.kind} sh {shlex.quote(script)}"
    return tuple(
        ("cron2", f"minute={minute},hour=-1,day=-1,month=-1,week=-1 {command} uwsgi")
        for minute in job.schedule.minutes
    )


def script(app: AppPaths, job: Job, *, release: int, checkout: Path, log_maxsize: int) -> str:
    """The text of the script that runs a job if it is due, once a minute and once at a time."""
    schedule, state = job.schedule, state_folder(app)
    return _SCRIPT.format(
        job=job.kind,
        release=release,
        again=_AGAIN.format() if schedule.by_clock else "",
        hours=_pattern(schedule.hours),
        months=_pattern(schedule.months),
        days=_days(schedule),
        log_maxsize=log_maxsize,
        command=shlex.join(subprocesses.shell(job.command)),
        checkout=shlex.quote(str(checkout)),
        log=shlex.quote(str(app.logs / f"{job.kind}.1.log")),
        lock=shlex.quote(str(state / f"{job.kind}.lock")),
        status=shlex.quote(str(state / f"{job.kind}.json")),
    )


def _pattern(values: Sequence[int]) -> str:
    return "|".join(map(str, values))


def _days(schedule: Schedule) -> str:
    """A pattern for DAY/WEEKDAY."""
    if schedule.either:
        return "|".join(
            (*(f"{day}/*" for day in schedule.days), *(f"*/{w}" for w in schedule.weekdays))
        )
    days = ("*",) if len(schedule.days) == 31 else schedule.days
    weekdays = ("*",) if len(schedule.weekdays) == 7 else schedule.weekdays
    return "|".join(f"{day}/{weekday}" for day, weekday in product(days, weekdays))
