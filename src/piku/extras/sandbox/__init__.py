"""Walls between apps: what an app runs sees its own files and processes only (docs/sandbox.md).

`walls` says what is inside, as arguments of bubblewrap (bwrap(1)). `hooks` puts what the app runs
behind them: programs by their command line, a uWSGI by a script that the emperor starts in its
place. `trial` finds out whether this server lets walls be built.
"""

from piku.extra import Extra

_HOOKS = "piku.extras.sandbox.hooks:"

EXTRA = Extra(
    name="sandbox",
    settings="piku.extras.sandbox.settings:SETTINGS",
    starting=f"{_HOOKS}starting",
    emperor=f"{_HOOKS}emperor",
    check=f"{_HOOKS}check",
    around=f"{_HOOKS}around",
    confine=f"{_HOOKS}confine",
    uwsgi=f"{_HOOKS}uwsgi",
    periodic=f"{_HOOKS}periodic",
    destroyed=f"{_HOOKS}destroyed",
)
