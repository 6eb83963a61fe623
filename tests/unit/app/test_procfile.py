"""Procfiles: what they say, and what is wrong in which line."""

from __future__ import annotations

import pytest

from piku.app import procfile
from piku.errors import PikuError


def refusal(text: str) -> str:
    with pytest.raises(PikuError) as error:
        procfile.parse(text)
    assert error.value.code == 1
    return error.value.message


def test_types_and_commands_are_read_in_order() -> None:
    found = procfile.parse(
        "# what runs\n\nweb: python3 server.py --port=$PORT\n  worker :  ./work 'a: b' \nrelease: ./migrate\n"
    )
    assert list(found.entries) == ["web", "worker", "release"]
    assert found.command("web") == "python3 server.py --port=$PORT"
    assert found.command("worker") == "./work 'a: b'"
    assert found.command("missing") == ""
    assert "release" in found and "static" not in found
    assert (found.serving, found.workers, found.scalable) == ("web", ("worker",), ("web", "worker"))
    assert found.warnings == ()


def test_lines_may_end_as_on_windows() -> None:
    assert procfile.parse("web: a\r\nworker: b\r\n").command("web") == "a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web: a\nnonsense\n", "Procfile line 2: 'nonsense' is not of the form 'type: command'"),
        ("# x\n\n: a\n", "Procfile line 3: ': a' is not of the form 'type: command'"),
        ("9web: a\n", "Procfile line 1: '9web' cannot be the name of a process type"),
        ("we b: a\n", "Procfile line 1: 'we b' cannot be the name of a process type"),
        ("we/b: a\n", "Procfile line 1: 'we/b' cannot be the name of a process type"),
        ("web:  \n", "Procfile line 1: 'web' has no command"),
        ("web: a\nx: b\nweb: c\n", "Procfile line 3: there is a line for 'web' already"),
        ("x: a\njwsgi: a b\n", "Procfile line 2: 'a b' is not a Java entry, such as 'package/Class:method'"),
        ("php: ../x\n", "Procfile line 1: '../x' is not a path inside the app"),
        ("cron-x: * * * *\n", "Procfile line 1: '* * * *' is not a schedule and a command"),
        ("wsgi: app.py\n", None),
        ("wsgi: app:app --x\n", "Procfile line 1: 'app:app --x' is not a WSGI module, such as 'module:callable'"),
        ("wsgi: $(x):app\n", "Procfile line 1: '$(x):app' is not a WSGI module, such as 'module:callable'"),
        ("", "the Procfile is empty"),
        ("# nothing\n\n", "the Procfile is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(text: str, message: str | None) -> None:
    if message is None:  # "app.py" could be a module of a package "app"
        assert procfile.parse(text).command("wsgi") == "app.py"
    else:
        assert refusal(text) == message


def test_a_long_line_is_shown_short() -> None:
    assert len(refusal("x" * 4000)) < 150


def test_lines_are_counted_as_editors_count_them() -> None:
    # Only line feeds end lines: form feeds, for one, and U+2028 do not.
    found = procfile.parse("# page 1\fweb: not this\nweb: say a\u2028b\n")
    assert found.command("web") == "say a\u2028b"
    assert refusal("# \x85 \x0b \x1c\nbad\n").startswith("Procfile line 2:")


@pytest.mark.parametrize(
    "module", ["app", "app:app", "pkg.mod:obj.attr", "pkg.mod:create_app()", "_a:_b"]
)
def test_a_wsgi_module_in_every_form(module: str) -> None:
    found = procfile.parse(f"wsgi: {module}\n")
    assert (found.serving, found.command("wsgi")) == ("wsgi", module)


@pytest.mark.parametrize("text", ["wsgi: a:b\nweb: c\n", "web: c\nwsgi: a:b\n"])
def test_wsgi_goes_before_web_and_says_so(text: str) -> None:
    found = procfile.parse(text)
    assert found.serving == "wsgi"
    assert "web" not in found
    assert found.workers == ()
    assert found.warnings == ("'web' is disabled: 'wsgi' answers the requests",)


def test_phases_and_static_are_no_processes() -> None:
    found = procfile.parse("preflight: a\nrelease: b\nstatic: public\nworker: c\n")
    assert (found.serving, found.workers, found.scalable) == ("", ("worker",), ("worker",))


def test_scheduled_jobs_are_no_processes() -> None:
    found = procfile.parse("web: a\ncron-b: @daily say  'b'\ncron: worker\ncron-c: */5 * * * * c\n")
    assert (found.workers, found.scalable) == (("cron",), ("web", "cron"))
    assert [(job.kind, job.command) for job in found.jobs] == [
        ("cron-b", "say  'b'"),
        ("cron-c", "c"),
    ]
    old = procfile.parse("cron: */5 * * * * a\ncron1: 0 4 * * 7 b\ncron2: @daily c\n")
    assert [job.kind for job in old.jobs] == ["cron-job", "cron-1", "cron-2"]
    assert refusal("cron-: @daily x\n") == "Procfile line 1: a scheduled job needs a name"


@pytest.mark.parametrize("folder", ["public", ".", "./dist", "a b/c", "_site", "été", "a..b"])
def test_static_folders_within_the_app(folder: str) -> None:
    for written in (folder, f"/{folder}/", f"/:{folder}"):
        assert procfile.parse(f"static: {written}\n").command("static") == folder


def test_static_as_the_original_piku_takes_it() -> None:
    assert procfile.parse("static: /\n").command("static") == "."
    several = "/:public,/docs:doc"
    assert procfile.parse(f"static: {several}\n").command("static") == several


@pytest.mark.parametrize(
    "folder",
    [
        "..",
        "a/../../b",
        "public/..",
        "a;b",
        "a{b}",
        "$x",
        'a"b',
        "a\tb",
        "a\\b",
        "/a:../b",
        "/a:b,/a:c",
    ],
)
def test_other_static_folders_are_refused(folder: str) -> None:
    said = refusal(f"web: x\nstatic: {folder}\n")
    assert said.startswith("Procfile line 2: ")
