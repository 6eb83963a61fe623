"""Where an app's code is fetched from, and what it keeps for that: the address, a key, a secret."""

import re
from dataclasses import dataclass
from pathlib import Path

from piku import records
from piku.errors import PikuError
from piku.paths import AppPaths

_NAME = r"[A-Za-z0-9_][\w.-]*"
_URL = re.compile(
    rf"(?:https://|ssh://(?:{_NAME}@)?)(?P<host>{_NAME})(?::[0-9]{{1,5}})?/[^\s\\]+"
    rf"|{_NAME}@(?P<short>{_NAME}):(?![/-])[^\s\\:]+",
    re.ASCII,
)
_REF = re.compile(r"[A-Za-z0-9_][\w./+@-]{0,200}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """An address that git fetches from, and a branch, tag or commit there; its default branch when
    there is no `ref`."""

    url: str
    ref: str = ""

    @property
    def by_ssh(self) -> bool:
        return not self.url.startswith("https:")

    @property
    def host(self) -> str:
        found = _URL.fullmatch(self.url)
        return (found["host"] or found["short"]) if found else ""

    def __str__(self) -> str:
        return f"{self.url}#{self.ref}" if self.ref else self.url


def parse(text: str) -> Source:
    """Read URL[#REF]; raises PikuError for anything but HTTPS and SSH: git has protocols that run
    programs, and read files of this server."""
    url, mark, ref = text.partition("#")
    # A user name in an HTTPS address is a token, which would be in logs.
    if not _URL.fullmatch(url) or "/../" in f"{url}/" or (url[:8] == "https://" and "@" in url):
        raise PikuError(
            "this is not an address to deploy from",
            hint="use https://HOST/PATH without a password, ssh://git@HOST/PATH or git@HOST:PATH;"
            "\nfor a private repository an SSH address, and: piku deploy-key APP",
            code=2,
        )
    if mark and (not _REF.fullmatch(ref) or ".." in ref or ref.endswith((".lock", "/", "."))):
        raise PikuError(f"{ref[:60]!r} is not the name of a branch or tag", code=2)
    return Source(url=url, ref=ref)


def record(app: AppPaths) -> Path:
    """The source of the last `deploy --from` that went live."""
    return app.envs / "source.json"


def of(app: AppPaths) -> Source:
    """The app's source; raises PikuError when there is none."""
    found = records.load(record(app), Source)
    if found is None:
        hint = f"say from where, once: piku deploy {app.name} --from URL"
        raise PikuError(f"{app.name} has no source to fetch from", hint=hint)
    return found


def key(app: AppPaths) -> Path:
    """The app's private key for its source, if it has one."""
    return app.envs / "deploy_key"
