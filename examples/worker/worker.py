"""A background process: adds a line to a file once a second."""

import os
import time
from pathlib import Path

ticks = Path(os.environ["DATA_ROOT"], "ticks")

while True:
    with ticks.open("a") as file:
        file.write(f"{time.time():.0f} release {os.environ.get('PIKU_RELEASE', 'unknown')}\n")
    time.sleep(1)
