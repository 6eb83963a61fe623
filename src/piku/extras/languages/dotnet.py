""".NET: the project in the top folder, published into each checkout's bin/publish."""

import re
from collections.abc import Iterator

from piku.runtimes.base import Context, Run, Runtime

_PROJECT = re.compile(r"[^/]+\.(cs|fs|vb)proj")


def _compile(_context: Context) -> Iterator[Run]:
    publish = ("dotnet", "publish", "--configuration", "Release", "--output", "bin/publish")
    yield Run(argv=publish, say="dotnet publish")


DOTNET = Runtime(
    name="dotnet",
    title=".NET",
    detect=lambda tree, _procfile: any(map(_PROJECT.fullmatch, tree.files)),
    requires=(("dotnet",),),
    install="https://learn.microsoft.com/dotnet/core/install/linux-debian",
    compile=_compile,
    env=lambda context: {
        "NUGET_PACKAGES": str(context.cache / "nuget"),
        "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
        "DOTNET_NOLOGO": "1",
        # A server of the build that outlives it would be killed with it.
        "MSBUILDDISABLENODEREUSE": "1",
    },
)
