"""An app under another name, twice, or on another server.

A copy and a move are `piku backup | piku restore`; `rename` moves what belongs to the app.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="relocate",
    commands={
        "apps:clone": "piku.extras.relocate.commands:apps_clone",
        "apps:move": "piku.extras.relocate.commands:apps_move",
        "apps:rename": "piku.extras.relocate.commands:apps_rename",
    },
    check="piku.extras.relocate.unfinished:refuse_deploy",
    periodic="piku.extras.relocate.rename:finish_all",
)
