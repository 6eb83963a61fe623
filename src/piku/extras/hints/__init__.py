"""Sentences for what a push meant, where the tools themselves say nothing helpful.

`hints` has one function for each: a program that only Heroku has, a requirements.txt of which
nothing applies to this server.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="hints",
    commands={"apps:create": "piku.extras.hints.create:create"},
    check="piku.extras.hints.hints:programs_of_heroku",
    elsewhere="piku.extras.hints.commands:ELSEWHERE",
    compile="piku.extras.hints.hints:nothing_required",
)
