"""Deploys without a push: from another repository, or from an archive.

Both arrive in a repository of their own (`incoming`), by `fetching` or `archive`. What is whole
there becomes the app's next commit and is deployed as a push would be (docs/adr/0034-sources.md).
"""

from piku.extra import Extra

EXTRA = Extra(
    name="sources",
    commands={
        "pull": "piku.extras.sources.commands:pull",
        "deploy-key": "piku.extras.sources.commands:deploy_key",
    },
    flags={"deploy": "piku.extras.sources.commands:with_flags"},
)
