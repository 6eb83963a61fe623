"""What is wrong with the server or an app, and how to fix it (`piku doctor`).

`commands.py` is the command, `checks.py` the list of checks and what runs them.
"""

from piku.extra import Extra

EXTRA = Extra(name="doctor", commands={"doctor": "piku.extras.doctor.commands:doctor"})
