"""A page that shows the server (docs/page.md).

It is an app like any other, whose files housekeeping writes: no process, no script. `view` collects
what there is to show, `html` and `plot` write it; `commands` has the commands.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="page",
    commands={
        "page:off": "piku.extras.page.commands:page_off",
        "page:on": "piku.extras.page.commands:page_on",
    },
    nginx="piku.extras.page.headers:additions",
    destroyed="piku.extras.page.headers:destroyed",
    periodic="piku.extras.page.view:periodic",
)
