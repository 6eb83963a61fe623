"""What counts as wrong."""

import os
import subprocess
import time

from piku import procfs
from piku.extras.alerts import problems
from piku.operate.ps import Row


def test_the_age_of_a_process_is_that_of_the_youngest_it_has_started() -> None:
    """Of those that a uWSGI has started one may be killed, while it goes on itself."""
    row = Row(process="wsgi.1", release=1, pid=os.getpid(), state="up")
    while procfs.age(os.getpid()) < 0.5:
        time.sleep(0.1)
    with subprocess.Popen(["sleep", "60"]) as child:
        assert problems._age(row) < procfs.age(os.getpid())
        child.kill()
    assert problems._age(Row(process="web.1", release=1, pid=0, state="crashing")) == 0
