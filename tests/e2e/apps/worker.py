"""A worker for tests: notes its start and its end, and whether another one runs at the same time."""

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

data = Path(os.environ["DATA_ROOT"])
release = os.environ["PIKU_RELEASE"]


def note(what: str) -> None:
    with (data / "events").open("a") as file:
        file.write(f"{what} {release} {os.getpid()}\n")


def stop(_number: int, _frame: FrameType | None) -> None:
    time.sleep(0.3)  # so that a successor that does not wait is caught
    note("stop")
    sys.exit()


lock = (data / "lock").open("w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note("overlap")
signal.signal(signal.SIGTERM, stop)
(data / "worker.json").write_text(json.dumps(dict(os.environ)))
note("start")
if Path("crash.txt").exists():
    print(f"{Path('crash.txt').read_text().strip()}", file=sys.stderr)
    sys.exit(1)
while True:
    signal.pause()
