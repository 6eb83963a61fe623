"""What a push says of the files of other systems, when they are new or have changed."""

import re
from collections.abc import Iterable, Iterator, Set

from piku import subprocesses
from piku.app import tree
from piku.app.tree import Tree
from piku.deploy import releases
from piku.deploy.deployment import Deployment
from piku.extras.foreign_files import app_json

_EXAMPLES = (".env.example", ".env.sample", ".env.template")
_IGNORED = (
    *("Dockerfile", "Containerfile", "heroku.yml", "fly.toml", "render.yaml", "railway.json"),
    *("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml"),
    *("netlify.toml", "vercel.json"),
)
_HOSTS = {"netlify.toml", "vercel.json"}
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")


def warnings(deployment: Deployment) -> Iterator[str]:
    """One line for each kind of file; the packages of an Aptfile until they are installed."""
    if deployment.release.kind not in ("push", "deploy"):
        return
    listing = deployment.revision.tree
    new = _new(deployment, listing)
    if app_json.NAME in new:
        yield from _app_json(listing)
    if ".env" in new:
        yield ".env is not used, and never served: see `piku config:push`, and take it out of git"
    for name in _EXAMPLES:
        if name in new and (missing := _unset(listing.read(name), deployment.values)):
            pairs = " ".join(f"{key}=…" for key in missing)
            yield f"{name} has settings that {deployment.app.name} has not, if it needs them:"
            yield f"  piku config:set {deployment.app.name} {pairs}"
    yield from _packages(listing.read("Aptfile"))
    if ignored := [name for name in _IGNORED if name in new]:
        entry = next(iter(deployment.revision.procfile.entries.values()))
        yield f"Not used: {', '.join(ignored)}; what runs is `{entry.kind}: {entry.command}`"
    if _HOSTS & new:
        yield "Nor are redirects, headers and functions in it: docs/nginx.md has what nginx can do"


def _new(deployment: Deployment, listing: Tree) -> set[str]:
    """The files that the live release has not, or has otherwise."""
    app, live = deployment.app, releases.live(deployment.app)
    before = tree.EMPTY
    if live is not None:
        commit = releases.load_release(app, live.release).commit
        before = tree.of_commit(app.repo, commit).seen_from(listing.folder)
    return {name for name, blob in listing.files.items() if before.files.get(name) != blob}


def _app_json(listing: Tree) -> Iterator[str]:
    found = list(app_json.parts(listing))
    used = ", ".join(name for name, is_used in found if is_used)
    ignored = ", ".join(name for name, is_used in found if not is_used)
    if used or ignored:
        yield "app.json: " + "; ".join(
            f"{what} {names}" for what, names in (("used", used), ("not used", ignored)) if names
        )


def _unset(text: str, values: Iterable[str]) -> list[str]:
    """The names in a file like .env that no layer of the settings has."""
    names = re.findall(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=", text, re.MULTILINE)
    known: Set[str] = {*values, *app_json.GIVEN}
    return [name for name in dict.fromkeys(names) if name not in known]


def _packages(text: str) -> Iterator[str]:
    """The packages of an Aptfile that this server lacks."""
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    wanted = dict.fromkeys(line.partition("=")[0] for line in lines if line)
    names = [name for name in wanted if _PACKAGE.fullmatch(name)]
    if not names or not subprocesses.which("dpkg-query"):
        return
    query = ("dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *names)
    said = subprocesses.run(query, check=False).splitlines()
    missing = [name for name in names if f"{name} installed" not in said]
    if missing:
        yield f"Aptfile: this server lacks {', '.join(missing)}; if the app needs them, as root:"
        yield f"  apt-get install {' '.join(missing)}"
