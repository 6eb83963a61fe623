"""Write what docs/ has from the code and the examples: the references, and the files shown in
pages.

A page shows files of an example between two comments, which name the folder and the files:

    <!-- files: examples/go Procfile main.go -->
    <!-- end -->
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from checkout import CHECKOUT

from piku.app import settings
from piku.app.settings import Setting
from piku.cli.main import cli

DOCS = CHECKOUT / "docs"
_GENERATED = "<!-- Written by tools/docs.py (make docs): change the code instead. -->\n\n"
_SHOWN = re.compile(r"(<!-- files: (\S+) ([^\n]+?) -->\n).*?(<!-- end -->)", re.S)


def pages() -> dict[str, str]:
    """Each page that is generated as a whole or in part, by its path below docs/."""
    texts = {str(path.relative_to(DOCS)): path.read_text() for path in sorted(DOCS.rglob("*.md"))}
    shown = {name: _with_files(text) for name, text in texts.items() if _SHOWN.search(text)}
    return {"settings.md": _page(_settings()), "commands.md": _page(_commands()), **shown}


def _page(lines: Iterator[str]) -> str:
    return _GENERATED + "".join(f"{line}\n" for line in lines)


# --- files of the examples -----------------------------------------------------------------------

_LANGUAGES = {
    ".clj": "clojure", ".cs": "csharp", ".csproj": "xml", ".edn": "clojure", ".ex": "elixir",
    ".exs": "elixir", ".go": "go", ".gradle": "groovy", ".html": "html", ".java": "java",
    ".js": "javascript", ".json": "json", ".php": "php", ".py": "python", ".rs": "rust",
    ".ru": "ruby", ".toml": "toml", ".ts": "typescript", "ENV": "sh", "Gemfile": "ruby",
    "Procfile": "yaml",
}  # fmt: skip


def _with_files(text: str) -> str:
    return _SHOWN.sub(
        lambda found: found[1] + _files(CHECKOUT / found[2], found[3].split()) + found[4], text
    )


def _files(folder: Path, names: list[str]) -> str:
    """The files as blocks of code, each below its name, for a reader on any site."""
    return "".join(f"\n`{name}`\n\n{_block(folder / name)}" for name in names) + "\n"


def _block(file: Path) -> str:
    return (
        f"```{_LANGUAGES.get(file.suffix or file.name, 'text')}\n{file.read_text().strip()}\n```\n"
    )


# --- settings ------------------------------------------------------------------------------------

# By a setting's name, or the first word of it.
_TOPICS = {
    "NGINX": "nginx", "DISABLE_IPV6": "nginx", "ACME": "Certificates", "UWSGI": "uWSGI",
    "PORT": "Where an app listens", "BIND": "Where an app listens", "PYTHON": "Languages",
    "NODE": "Languages", "DENO": "Languages", "DISABLE_COLLECTSTATIC": "Languages",
    "PIKU_FETCH_RUNTIMES": "Languages", "TZ": "Time",
}  # fmt: skip
_OTHERS = "Deploys, limits and logs"
_ORDER = ("nginx", "Certificates", "Where an app listens", "uWSGI", "Languages", _OTHERS, "Time")


_ABOUT_SETTINGS = """\
# Settings

The settings that Piku itself reads. Set one for an app with `piku config:set APP NAME=value` or in
the file `ENV` of its repository, or for all apps of a server in the file `ENV` of its piku folder
(with the package, `/var/lib/piku/.piku/ENV`). `config:set` wins over the repository, and the
repository over the server. Any other setting is the app's own, and reaches its processes unchanged;
an unknown one that begins with `NGINX_`, `PIKU_` or `UWSGI_` is refused.
[How values are written](variables.md) is the same everywhere."""


def _settings() -> Iterator[str]:
    yield _ABOUT_SETTINGS
    for topic, found in groupby(sorted(settings.table().values(), key=_place), key=_topic):
        yield ""
        yield f"## {topic}"
        for setting in found:
            yield from _setting(setting)


def _topic(setting: Setting[Any]) -> str:
    return _TOPICS.get(setting.name) or _TOPICS.get(setting.name.partition("_")[0], _OTHERS)


def _place(setting: Setting[Any]) -> int:
    return _ORDER.index(_topic(setting))


def _setting(setting: Setting[Any]) -> Iterator[str]:
    yield ""
    yield f"### {setting.name}"
    yield ""
    yield setting.doc
    yield ""
    default = f" The default is `{setting.default}`." if setting.default else ""
    where = "" if setting.repository else " Not in a repository's `ENV`."
    takes = _takes(setting)
    yield f"{takes and f'*Takes {takes}.*'}{default}{where}".strip()


def _takes(setting: Setting[Any]) -> str:
    """What its check lets through, as `app/checks.py` says it, or ""."""
    check = setting.check
    if not inspect.isfunction(check):
        return "" if check is str else str(check)
    said = re.split(r": |\.?$", (check.__doc__ or "").split("\n")[0])[0]
    return said[:1].lower() + said[1:]


# --- commands ------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[click.Context, click.Command]]:
    """Every command with its context, in the order of `piku help`."""
    with click.Context(cli, info_name="piku") as parent:
        for name in cli.list_commands(parent):
            command = cli.get_command(parent, name)
            assert command is not None
            with click.Context(command, info_name=name, parent=parent) as context:
                yield context, command


_ABOUT_COMMANDS = """\
# Commands

Run them on the server, or from any machine whose key was added: `ssh piku@server COMMAND`. With
[Piku on your laptop](client.md), `piku COMMAND` in the app's folder is enough, without the app's
name; the commands from `init` on run there only. `piku help COMMAND` shows the same as this page.

The exit code is 0 for success, 1 when an app or its settings are at fault, 2 when the command was
not understood, 3 when Piku itself failed, and 130 after Ctrl-C. `run` and `cron:run` return the
exit code of what they ran."""


def _commands() -> Iterator[str]:
    yield _ABOUT_COMMANDS
    for context, command in commands():
        if not command.hidden:
            yield from _command(context, command)


def _command(context: click.Context, command: click.Command) -> Iterator[str]:
    yield ""
    yield f"## {context.info_name}"
    yield ""
    yield f"    {_usage(context, command)}"
    yield ""
    yield inspect.cleandoc(command.help or "")
    options = [
        option
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ]
    if options:
        yield ""
    for option in options:
        yield f"- {_option(context, option)}"


def _usage(context: click.Context, command: click.Command) -> str:
    words = command.collect_usage_pieces(context)
    has_options = any(isinstance(parameter, click.Option) for parameter in command.params)
    return " ".join(
        (context.command_path, *(word for word in words if has_options or word != "[OPTIONS]"))
    )


def _option(context: click.Context, option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.metavar or str(option.name).upper()}"
    default: Any = option.get_default(context) if option.show_default else None
    note = "" if default is None else f" The default is `{default}`."
    return f"`{', '.join(option.opts)}{value}`: {option.help or ''}{note}"


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text)
