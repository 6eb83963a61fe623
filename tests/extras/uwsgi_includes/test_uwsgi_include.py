"""UWSGI_INCLUDE_FILE: what concerns other apps or piku itself is refused, however it is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from piku.deploy import instances
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.paths import AppPaths
from tests.unit.conftest import commit, deployment

__all__ = ["commit", "deployment"]
Starts = Callable[..., None]


@pytest.fixture
def starts(shop: AppPaths, deployment: Callable[..., Deployment]) -> Starts:
    """Write what the app's processes start from, with this text as UWSGI_INCLUDE_FILE."""

    def make(text: str, **more: str) -> None:
        for name, folder in {"DATA": shop.data, "LIVE": shop.live_link, "ROOT": shop.root}.items():
            text = text.replace(name, str(folder))
        named = {name.replace("_", "."): content for name, content in more.items()}
        tree = {"Procfile": "wsgi: app:app\n", "conf/own.ini": f"[uwsgi]\n{text}\n", **named}
        instances.create(deployment(shop, tree, UWSGI_INCLUDE_FILE="conf/own.ini", OWN="/own/path"))

    return make


def test_what_concerns_the_app_alone_is_taken(starts: Starts) -> None:
    starts(
        "; socket = /other.sock\n#emperor = x\n"
        "pythonpath = %d/lib\nset-placeholder = base=DATA\nstats = %(base)/stats.sock\nlazy-apps = true\n"
        "ini = %d../more.ini\nchmod-socket = 660\nstatic-map = /x=LIVE/public\nthreads 3 = \nthunder-lock\n"
        "route = ^/a/(.*) log:$(OWN)/%%d\nattach-daemon = sleep 1\nhook-post-app = print:/etc/x\n"
        .replace("threads 3 = \n", ""),
        more_ini="[uwsgi]\nharakiri = 30\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "socket = ROOT/nginx/blog.sock",
        "http-socket = :8080",
        "  stats=127.0.0.1:9191",
        "stats = ROOT/uwsgi/emperor.stats",
        "stats = %d../../../../uwsgi/emperor.stats",
        "stats-server = @abstract",
        "so%\ncket = ROOT/nginx/blog.sock",
        "threads = 1%%\nsocket = ROOT/nginx/blog.sock",
        "set-placeholder = folder=/tmp\nsocket = %(folder)/x.sock",
        "socket = $(UNKNOWN)/x.sock",
        "socket = $(OWN)/x.sock",
        "socket = %(unknown)/x.sock",
        "socket = @(/etc/hostname)",
        "[other]\nsocket = /tmp/x.sock",
        "emperor = ROOT/uwsgi-enabled",
        "emperor-stats = DATA/x",
        "fastrouter = :80",
        "daemonize = DATA/x",
        "hook-pre-app = unlink:ROOT/nginx/blog.sock",
        "exec-asap = rm -rf ../../blog/v1",
        "attach-daemon2 = cmd=touch ROOT/uwsgi/x",
        "logto = ROOT/logs/blog/wsgi.1.log",
        "static-map = /x=ROOT/envs/blog",
        "for = blog wiki\nhook-pre-app = unlink:ROOT/nginx/%(_).sock\nendfor =",
        "ini = /etc/uwsgi.ini",
        "include = ROOT/data/shop/x.ini",
        "include = %down.ini",
        "json = %dx.json",
        "touch-reload = LIVE/../blog/x",
    ],
)
def test_what_concerns_others_is_refused(starts: Starts, text: str) -> None:
    with pytest.raises(PikuError, match="UWSGI_INCLUDE_FILE may not have"):
        starts(text)


def test_what_another_file_of_the_repository_says_counts(starts: Starts) -> None:
    with pytest.raises(PikuError, match="may not have emperor = x"):
        starts("include = %d../more.ini", more_ini="[uwsgi]\nemperor = x\n")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"conf/own.ini": "pythonpath = lib\n"}, "=conf/own.ini has no line .uwsgi."),
        ({"conf/own.ini": "[uwsgi]\nno-such-option = 1\n"}, "uWSGI refuses UWSGI_INCLUDE_FILE"),
        # Options of a language are for what uWSGI serves.
        ({"Procfile": "web: exec sleep 1000\n"}, "uWSGI refuses UWSGI_INCLUDE_FILE"),
    ],
)
def test_uwsgi_reads_it_before_it_is_used(starts: Starts, files: dict[str, str], said: str) -> None:
    with pytest.raises(PikuError, match=said):
        starts("pythonpath = %d/lib", **files)
