"""Why a process did not start: the line of its log that says it, and what helps.

`reasons` knows how languages report what ended a program, and the commonest of these reports.
"""

from piku.extra import Extra

EXTRA = Extra(name="reasons", unwell="piku.extras.reasons.reasons:explain")
