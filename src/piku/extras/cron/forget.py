"""Forgetting jobs that an app no longer has."""

from piku import files
from piku.deploy import scheduler
from piku.deploy.releases import Live
from piku.paths import AppPaths, Paths


def reconciled(_paths: Paths, app: AppPaths, live: Live | None) -> None:
    """Remove the records of jobs that the live release lacks, once they have ended: one that failed
    would stay a problem for ever."""
    if live is None or live.stopped:
        return
    starts = [process.start for process in live.processes if process.schedules]
    present = {script.stem for start in starts for script in app.start(start).glob("cron-*.sh")}
    gone = scheduler.last_runs(app).keys() - present
    for name in gone - scheduler.running(app).keys() if gone else ():
        files.discard([scheduler.state_folder(app) / f"{name}.json"])
