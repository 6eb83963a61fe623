"""Where things are: the folders of the server and of one app (specification, "Directory
Structure")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from piku.errors import PikuError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

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


@dataclass(frozen=True, kw_only=True)
class AppPaths:
    """The files of one app; nothing here touches the disk."""

    root: Path
    name: AppName

    @property
    def repo(self) -> Path:
        return self.root / "repos" / self.name

    @property
    def live_link(self) -> Path:
        return self.root / "apps" / self.name

    @property
    def releases(self) -> Path:
        return self.root / "releases" / self.name

    @property
    def live_record(self) -> Path:
        """What is live; replacing it is the commit point (design, "On disk")."""
        return self.releases / "live.json"

    @property
    def envs(self) -> Path:
        return self.root / "envs" / self.name

    @property
    def settings(self) -> Path:
        return self.envs / "ENV"

    @property
    def scaling(self) -> Path:
        return self.envs / "SCALING"

    @property
    def live_env(self) -> Path:
        return self.envs / "LIVE_ENV"

    @property
    def data(self) -> Path:
        return self.root / "data" / self.name

    @property
    def cache(self) -> Path:
        return self.root / "cache" / self.name

    @property
    def logs(self) -> Path:
        return self.root / "logs" / self.name

    @property
    def build_log(self) -> Path:
        return self.logs / "build.log"

    @property
    def access_log(self) -> Path:
        """What nginx answered for an app that uWSGI does not serve itself."""
        return self.logs / "nginx.log"

    @property
    def nginx(self) -> Path:
        return self.root / "nginx" / f"{self.name}.conf"

    @property
    def port_file(self) -> Path:
        """The port that was assigned to the app for good, if one was."""
        return self.envs / "PORT"

    @property
    def refused(self) -> Path:
        """What nginx no longer accepts of this app, set aside so that the others are served."""
        return self.root / "nginx" / f"{self.name}.conf.refused"

    @property
    def before_link(self) -> Path:
        """The checkout of the release before the live one, whose files open pages may still ask
        for."""
        return self.root / "apps" / f"{self.name}{SEPARATOR}before"

    @property
    def lock(self) -> Path:
        return self.root / "releases" / f"{self.name}{SEPARATOR}lock"

    def start(self, number: int) -> Path:
        """What the processes of one start need: variables, scripts."""
        return self.releases / "starts" / str(number)

    def build_marker(self, checkout: str) -> Path:
        """The file that says a checkout was built, and what it held then."""
        return self.releases / f"{checkout}.built"

    def release_record(self, number: int) -> Path:
        return self.releases / f"v{number}.json"

    def socket(self, instance: int) -> Path:
        """The stable socket of a uWSGI-served instance: a link to that of the live start."""
        suffix = "" if instance == 1 else f"{SEPARATOR}{instance}"
        return self.root / "nginx" / f"{self.name}{suffix}.sock"

    def start_socket(self, start: int, instance: int) -> Path:
        return self.root / "nginx" / f"{self.name}{SEPARATOR}{start}.{instance}.sock"


@dataclass(frozen=True, kw_only=True)
class Paths:
    """The folders of one server."""

    root: Path
    home: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Paths:
        """`PIKU_ROOT`, or `.piku` in the home folder."""
        home = Path(environ.get("HOME") or Path.home())
        return cls(root=Path(environ.get("PIKU_ROOT") or home / ".piku").absolute(), home=home)

    FOLDERS = (
        "apps", "data", "envs", "repos", "releases", "logs", "nginx", "cache",
        "uwsgi-available", "uwsgi-enabled", "uwsgi", "acme", "plugins",
    )  # fmt: skip

    def app(self, name: AppName) -> AppPaths:
        return AppPaths(root=self.root, name=name)

    def existing(self, text: str) -> AppPaths:
        """The paths of an app that exists; raises PikuError for any other name."""
        app = self.app(AppName.parse(text))
        if app.repo.is_dir():
            return app
        names = self.app_names()
        hint = f"apps here: {', '.join(names)}" if names else "there is no app yet: push one first"
        raise PikuError(f"there is no app called {text!r}", hint=hint)

    def app_names(self) -> list[AppName]:
        """The apps of this server, sorted; an app is what has a repository."""
        try:
            found = [entry.name for entry in (self.root / "repos").iterdir() if entry.is_dir()]
        except FileNotFoundError:
            return []
        return sorted(AppName(name) for name in found if _NAME.fullmatch(name))

    @property
    def server_env(self) -> Path:
        return self.root / "ENV"

    @property
    def nginx(self) -> Path:
        return self.root / "nginx"

    @property
    def nginx_main(self) -> Path:
        return self.root / "nginx.conf"

    @property
    def acme(self) -> Path:
        """Answers to certificate authorities."""
        return self.root / "acme"

    @property
    def cloudflare(self) -> Path:
        return self.nginx / "cloudflare.json"

    @property
    def nginx_pid(self) -> Path:
        return self.nginx / "nginx.pid"

    @property
    def nginx_errors(self) -> Path:
        return self.nginx / "error.log"

    @property
    def available(self) -> Path:
        return self.root / "uwsgi-available"

    @property
    def enabled(self) -> Path:
        return self.root / "uwsgi-enabled"

    @property
    def uwsgi(self) -> Path:
        return self.root / "uwsgi"

    @property
    def start_counter(self) -> Path:
        """The number of the newest start of any app. The emperor remembers names that failed."""
        return self.uwsgi / "starts"

    @property
    def emperor_ini(self) -> Path:
        return self.uwsgi / "uwsgi.ini"

    @property
    def emperor_stats(self) -> Path:
        return self.uwsgi / "emperor.stats"

    @property
    def emperor_log(self) -> Path:
        return self.uwsgi / "emperor.log"

    @property
    def platform(self) -> Path:
        """Addresses and ports that nginx listens on, as last started."""
        return self.uwsgi / "platform.json"
