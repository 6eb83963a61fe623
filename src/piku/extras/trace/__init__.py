"""Where the time of a deploy goes: PIKU_TRACE=FILE in the environment (docs/benchmarks.md).

`trace` writes the steps of a deploy and the programs that it runs as Trace Events, which Perfetto
and Speedscope show.
"""

from piku.extra import Extra

EXTRA = Extra(name="trace", deployed="piku.extras.trace.trace:write")
