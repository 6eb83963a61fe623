"""make bench: each figure beside its floor, the same work by bare tools in the same run.

What it found goes to standard output as JSON, for report.py; what it does, to standard error.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import groups
from checkout import CHECKOUT
from floors import Bare
from measure import Results
from sandbox import Sandbox, SandboxError


def machine() -> dict[str, object]:
    nginx = subprocess.run(["nginx", "-v"], check=True, capture_output=True, text=True).stderr
    uwsgi = subprocess.run(["uwsgi", "--version"], check=True, capture_output=True, text=True)
    return {
        "cores": os.cpu_count(),
        "load at the start": round(os.getloadavg()[0], 2),
        "kernel": os.uname().release,
        "nginx": nginx.rpartition("/")[2].strip(),
        "uWSGI": uwsgi.stdout.strip(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs: to see that it works")
    parser.add_argument(
        "--board", action="store_true", help="this is a small board (small.py): the rows say so"
    )
    parser.add_argument(
        "--only", default="", help=f"some of {', '.join(groups.GROUPS)}, with commas"
    )
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(groups.GROUPS)
    if options.board and not options.only:
        chosen = ["push", "commands", "changes"]
    if unknown := set(chosen) - set(groups.GROUPS):
        raise SystemExit(f"there is no {', '.join(unknown)}; there are {', '.join(groups.GROUPS)}")
    results, facts, failed = Results(), machine(), dict[str, str]()
    for name in chosen:
        begun = time.monotonic()
        # A server of its own for each group: what one leaves must not weigh on the next.
        try:
            with (
                tempfile.TemporaryDirectory(prefix="bench-") as base,
                Sandbox(CHECKOUT, Path(base)) as server,
            ):
                groups.GROUPS[name](server, Bare(server), results, options.quick or options.board)
        except (
            OSError,
            SandboxError,
            SystemExit,
            ValueError,
            LookupError,
            subprocess.SubprocessError,
        ) as error:
            failed[name] = f"{type(error).__name__}: {error}"  # the others are still measured
            print(f"{name} failed: {failed[name]}", file=sys.stderr)
        print(f"-- {name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    rows = [asdict(row) for row in results.rows]
    if options.board:
        slow = {"group": groups.BOARD, "limit": 0}
        rows = [
            {**row, **slow, "name": f"{row['name']}, a quarter of a core and 256 MB"}
            for row in rows
        ]
        results.series.clear()
    found = {
        "machine": facts,
        "failed": failed,
        "quick": options.quick,
        "rows": rows,
        "series": results.series,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
