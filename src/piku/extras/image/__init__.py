"""OCI images of releases, made by an ordinary user without Docker (docs/scaling-out.md).

`image` is the runbook: a base layer (`base`, from the Debian packages that `packages` finds), the
environment and the code (`layers`), and `/piku/start` (`start`). `store` calls umoci and skopeo.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="image",
    settings="piku.extras.image.packages:SETTINGS",
    commands={"image": "piku.extras.image.commands:image"},
    image="piku.extras.image.image:make",
    periodic="piku.extras.image.image:tidy",
)
