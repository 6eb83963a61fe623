"""Webhooks: a push to the repository that an app came from (`deploy --from`) deploys it.

`state` is what an app keeps for it, and what nginx and the emperor do while any app has one;
`answer` is the WSGI app that checks a request, and starts `piku pull`.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="webhook",
    commands={"webhook": "piku.extras.webhook.commands:webhook"},
    nginx="piku.extras.webhook.state:additions",
    vassals="piku.extras.webhook.state:vassals",
)
