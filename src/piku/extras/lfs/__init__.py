"""Git LFS: files whose content is kept beside git's own objects (docs/adr/0035-git-lfs.md).

`transfer` speaks the protocol of git-lfs over SSH, `store` keeps what comes, `pointers` finds the
files that stand for such content in a commit, and `release` puts the content in their place.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="lfs",
    commands={"git-lfs-transfer": "piku.extras.lfs.commands:transfer"},
    check="piku.extras.lfs.release:check",
    checked_out="piku.extras.lfs.release:fill_in",
    periodic="piku.extras.lfs.store:periodic",
)
