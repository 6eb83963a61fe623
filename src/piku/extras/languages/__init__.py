"""More languages than the specification's: Deno, Bun, Elixir, .NET, and two tools of Python's.

Each is a row of the table of runtimes (`rows` has them in their order); a row leaves alone what
the core would build, unless the commit says that it is meant.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="languages",
    settings="piku.extras.languages.javascript:SETTINGS",
    runtimes="piku.extras.languages.rows:ROWS",
)
