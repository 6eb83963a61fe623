"""The logs of what runs behind walls, which cannot rename them itself."""

from __future__ import annotations

from piku import files
from piku.extras.sandbox import hooks
from piku.paths import AppName, Paths


def test_a_log_that_cannot_be_copied_is_emptied_and_others_are_looked_at(paths: Paths) -> None:
    logs = []
    for name in ("first", "second"):
        app = paths.app(AppName(name))
        files.write(app.start(3) / "wsgi.1.launch", "")
        files.write(app.start(3) / "wsgi.1.env" / "UWSGI_LOG_MAXSIZE", "10000\n")
        logs.append(app.logs / "wsgi.1@3.log")
        files.write(logs[-1], "x" * 20_000)
    (logs[0].with_name("wsgi.1@3.log.old") / "in the way").mkdir(parents=True)
    hooks.periodic(paths)
    assert [log.stat().st_size for log in logs] == [0, 0]
    assert logs[1].with_name("wsgi.1@3.log.old").stat().st_size == 20_000
