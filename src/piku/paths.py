"""Where things are: the folders of the server and of one app (specification, "Directory
Structure"). Nothing here writes to the disk."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path

from piku.errors import PikuError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
TEMPLATES = Path(__file__).with_name("templates")  # texts of piku's own

# A character that no app name contains: "APP@12.web.1" can therefore never be the file of an app
# whose name merely begins alike.
SEPARATOR = "@"


class AppName(str):
    """A checked app name. Names are accepted or refused, never rewritten."""

    @classmethod
    def parse(cls, text: str) -> AppName:
        """Check `text`; raises PikuError when it is not a name an app can have."""
        if _NAME.fullmatch(text):
            return cls(text)
        shown = text if len(text) <= 80 else text[:80] + "…"
        raise PikuError(
            f"{shown!r} is not an app name",
            hint="up to 63 letters, digits, '.', '_' and '-', the first a letter or digit",
        )

    @property
    def label(self) -> str:
        """Lower-case letters, digits and '-' of it, as DNS and image registries take names."""
        return re.sub("[^a-z0-9]+", "-", self.lower()).strip("-")


class AppPaths:
    """The files of one app."""

    def __init__(self, *, root: Path, name: AppName) -> None:
        self.root = root
        self.name = name
        self.repo = root / "repos" / name
        self.lock = root / "releases" / f"{name}{SEPARATOR}lock"
        self.live_link = root / "apps" / name
        # The checkout before the live one: pages that are open may still ask for its files.
        self.previous_link = root / "apps" / f"{name}{SEPARATOR}before"
        self.releases = root / "releases" / name
        # What is live; replacing it is the commit point (design, "On disk").
        self.live_record = self.releases / "live.json"
        self.envs = root / "envs" / name
        self.settings = self.envs / "ENV"
        self.scaling = self.envs / "SCALING"
        self.live_env = self.envs / "LIVE_ENV"
        # The port that was assigned to the app for good, if one was.
        self.port_file = self.envs / "PORT"
        self.data = root / "data" / name
        self.cache = root / "cache" / name
        self.logs = root / "logs" / name
        self.build_log = self.logs / "build.log"
        # What nginx answered for an app that uWSGI does not serve itself.
        self.access_log = self.logs / "nginx.log"
        self.nginx = root / "nginx" / f"{name}.conf"
        # What nginx no longer accepts of this app, set aside so that the others are served.
        self.refused = root / "nginx" / f"{name}.conf.refused"

    def start(self, number: int) -> Path:
        """What the processes of one start need: variables, scripts."""
        return self.releases / "starts" / str(number)

    def code(self, checkout: str) -> Path:
        """The whole checkout of a release, whose app may be in a folder of it."""
        return self.releases / checkout.partition("/")[0]

    def build_marker(self, checkout: str) -> Path:
        """The file that says a checkout was built, and what it held then."""
        return self.releases / f"{self.code(checkout).name}.built"

    def release_record(self, number: int) -> Path:
        return self.releases / f"v{number}.json"

    def socket(self, instance: int) -> Path:
        """The stable socket of a uWSGI-served instance: a link to that of the live start."""
        suffix = "" if instance == 1 else f"{SEPARATOR}{instance}"
        return self.root / "nginx" / f"{self.name}{suffix}.sock"

    def start_socket(self, start: int, instance: int) -> Path:
        return self.root / "nginx" / f"{self.name}{SEPARATOR}{start}.{instance}.sock"


class Paths:
    """The files of one server."""

    FOLDERS = (
        "apps", "data", "envs", "repos", "releases", "logs", "nginx", "cache",
        "uwsgi-available", "uwsgi-enabled", "uwsgi", "acme", "plugins",
    )  # fmt: skip

    def __init__(self, *, root: Path, home: Path) -> None:
        self.root = root
        self.home = home
        self.server_env = root / "ENV"
        self.acme = root / "acme"  # answers to certificate authorities
        self.nginx_main = root / "nginx.conf"
        self.nginx = root / "nginx"
        self.nginx_pid = self.nginx / "nginx.pid"
        self.nginx_errors = self.nginx / "error.log"
        self.cloudflare = self.nginx / "cloudflare.txt"
        self.available = root / "uwsgi-available"
        self.enabled = root / "uwsgi-enabled"
        self.uwsgi = root / "uwsgi"
        self.emperor_ini = self.uwsgi / "uwsgi.ini"
        self.emperor_pid = self.uwsgi / "emperor.pid"
        self.emperor_stats = self.uwsgi / "emperor.stats"
        self.emperor_log = self.uwsgi / "emperor.log"
        # The number of the newest start of any app. The emperor remembers names that failed.
        self.start_counter = self.uwsgi / "starts"
        # Addresses and ports that nginx listens on, as last started.
        self.platform = self.uwsgi / "platform.json"
        # What goes through all apps asks for each many times.
        self.app = functools.cache(lambda name: AppPaths(root=root, name=name))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Paths:
        """`PIKU_ROOT`, or `.piku` in the home folder."""
        home = Path(environ.get("HOME") or Path.home())
        return cls(root=Path(environ.get("PIKU_ROOT") or home / ".piku").absolute(), home=home)

    def existing(self, text: str) -> AppPaths:
        """The paths of an app that exists; raises PikuError for any other name."""
        app = self.app(AppName.parse(text))
        if app.repo.is_dir():
            return app
        names = self.app_names()
        hint = f"apps here: {', '.join(names)}" if names else "there is no app yet: push one first"
        raise PikuError(f"there is no app called {text!r}", hint=hint)

    def similar(self, name: AppName) -> AppName | None:
        """Another app that may have been meant, by its name."""
        from difflib import get_close_matches

        others = [other for other in self.app_names() if other != name]
        return next((AppName(one) for one in get_close_matches(name, others, 1, 0.75)), None)

    def app_names(self) -> list[AppName]:
        """The apps of this server, sorted; an app is what has a repository."""
        found = (path.name for path in (self.root / "repos").glob("*") if path.is_dir())
        return sorted(AppName(name) for name in found if _NAME.fullmatch(name))
