"""Sentences for what a push meant, where the tools themselves say nothing helpful.

`hints` has one function for each: a program that only Heroku has, a requirements.txt of which
nothing applies to this server. `procfile` has lines that would run as workers by mistake.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="hints",
    commands={"apps:create": "piku.extras.hints.create:create"},
    check="piku.extras.hints.procfile:check",
    elsewhere="piku.extras.hints.commands:ELSEWHERE",
    compile="piku.extras.hints.hints:nothing_required",
)
