"""Files with which other engines run an app's image: `piku export APP --to compose|kubernetes`.

`app` gathers what the live release runs; `compose` and `kubernetes` make documents of it, which
`yaml` writes. All three are pure.
"""

from piku.extra import Extra

EXTRA = Extra(name="export", commands={"export": "piku.extras.export.commands:export"})
