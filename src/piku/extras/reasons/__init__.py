"""Why a process did not start, or an app is not served: the line that says it, and what helps.

`reasons` knows how languages report what ended a program, and the commonest of these reports.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="reasons",
    unwell="piku.extras.reasons.reasons:explain",
    notes="piku.extras.reasons.reasons:notes",
)
