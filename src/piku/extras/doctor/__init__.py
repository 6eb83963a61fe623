"""`piku doctor`: what is wrong with the server or an app, and how to fix it.

A check looks at a `Context` and yields `Finding`s; `checks.py` has the tables of checks, and runs
them. None changes anything. `http_probe` and `diagnosis` explain what a visitor of an app gets.
"""

from piku.extra import Extra

EXTRA = Extra(name="doctor", commands={"doctor": "piku.extras.doctor.commands:doctor"})
