"""uWSGI configuration: what any text becomes, judged by the real uWSGI."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku.errors import PikuError
from piku.paths import Paths
from piku.uwsgi import ini as ini_module


@pytest.mark.parametrize(
    "value",
    [
        "a\nb",
        "a\rb",
        "a\0b",
        "x\x1b",
        "a$(HOME)",
        "a@(/etc/passwd)",
        "100%",
        "%",
        " a",
        "a ",
        "\ta",
        "a\t",
    ],
)
def test_what_uwsgi_would_read_as_something_else_is_refused(value: str) -> None:
    with pytest.raises(PikuError, match="cannot be given to uWSGI: it contains"):
        ini_module.render([("x", value)])


@given(st.text("%$(){}@;#='\" \\abé", max_size=15) | st.text(max_size=15))
def test_nothing_leaves_its_line_and_nothing_is_magic(value: str) -> None:
    try:
        text = ini_module.render([("x", value)])
    except PikuError:
        return
    if not value:
        assert text == "[uwsgi]\n"
        return
    assert text.startswith("[uwsgi]\nx = ")
    assert text.endswith("\n") and text.count("\n") == 2
    line = text.split("\n")[1].removeprefix("x = ")
    assert re.fullmatch(r"(?:[^%]|%%)*", line), "a single % remains"
    assert "$(" not in line and "@(" not in line
    assert line.replace("%%", "%") == value


def test_the_real_uwsgi_reads_what_we_write(tmp_path: Path) -> None:
    values = [
        "plain", "a b", "50%d", "%(x)", "%%x", "a;b", "#x", "; x", "it's", '"q"', "back\\", "\\n", "a=b",
        "${HOME}",
        "$HOME", "@x", "(x)", "é 漢", "[uwsgi]", "",
    ]  # fmt: skip
    ini = tmp_path / "x.ini"
    ini.write_text(
        ini_module.render(
            [("strict", "true"), *(("env", f"V{n}={v}") for n, v in enumerate(values))]
        )
    )
    done = subprocess.run(
        ["uwsgi", "--ini", str(ini), "--show-config", "--no-server"],
        check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=20,
    )  # fmt: skip
    for number, value in enumerate(values):
        assert f"env = V{number}={value}\n" in done.stdout


VASSAL = ini_module.Vassal(
    checkout="/r/c",
    envdir="/r/e",
    log="/r/l",
    values={"UWSGI_PROCESSES": "2", "PIKU_STOP_TIMEOUT": "7"},
)


def served(address: str, *, threads: int = 3, kind: str = "wsgi", **language: str) -> list[str]:
    """The lines of an ini."""
    options = tuple(language.items())
    made = ini_module.served(VASSAL, kind, options, address=address, threads=threads, listen=9)
    return made.splitlines()


def test_an_app_behind_nginx_and_by_itself() -> None:
    behind = served("/r/x.sock", kind="rwsgi", rack="config.ru")
    assert {"socket = /r/x.sock", "chmod-socket = 664", "threads = 3", "rack = config.ru"} <= set(
        behind
    )
    assert not any(line.startswith("http-socket") for line in behind)
    alone = served("127.0.0.1:9", threads=0, kind="rwsgi")
    assert {"http-socket = 127.0.0.1:9", "http-socket-modifier1 = 7"} <= set(alone)
    assert not any(line.startswith(("socket", "threads")) for line in alone)
    assert "http-socket-modifier1 = 0" not in served("127.0.0.1:9")


def test_an_option_without_a_value_is_left_out() -> None:
    assert ini_module.render([("module", "a:b"), ("virtualenv", "")]) == "[uwsgi]\nmodule = a:b\n"


def test_the_runner_runs_the_program_and_logs_how_it_ended(tmp_path: Path) -> None:
    words = ["printf", "%s|", "a b", "$HOME", "it's", '"', ""]
    script = tmp_path / "run.sh"
    script.write_text(ini_module.runner(words, "web.1"))
    first = subprocess.run(["/bin/sh", str(script)], check=True, capture_output=True, text=True)
    assert first.stdout == "a b|$HOME|it's|\"||[piku] web.1 ended with exit code 0\n"
    script.write_text(ini_module.runner(["sh", "-c", "exit 7"], "web.2"))
    second = subprocess.run(["/bin/sh", str(script)], check=False, capture_output=True, text=True)
    assert second.returncode == 7
    assert second.stdout == "[piku] web.2 ended with exit code 7\n"


def test_the_runner_makes_one_sigterm_of_what_uwsgi_repeats(tmp_path: Path) -> None:
    script, program = tmp_path / "run.sh", tmp_path / "program.sh"
    program.write_text(
        "n=0; trap 'n=$((n + 1))' TERM; echo ready; i=0\n"
        'while [ "$i" -lt 10 ]; do sleep 0.1; i=$((i + n)); done; echo "asked $n times"\n'
    )
    script.write_text(ini_module.runner(["sh", str(program)], "web.1"))
    with subprocess.Popen(
        ["/bin/sh", str(script)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        while running.poll() is None:  # as uWSGI repeats it
            os.killpg(running.pid, signal.SIGCONT)
            time.sleep(0.05)
        assert running.stdout.read() == "asked 1 times\n"
        assert running.returncode == 0


def test_a_daemon_is_called_by_a_quoted_path() -> None:
    text = ini_module.daemon(VASSAL, "/r/a b;c,d/run.sh")
    [line] = [line for line in text.splitlines() if line.startswith("attach-daemon2")]
    signal, command = line.partition(" = ")[2].split(",", 1)
    assert signal == "stopsignal=18"
    assert command.startswith("exec=") and re.findall(r"(?<!\\),", command) == []
    assert shlex.split(command.removeprefix("exec=").replace("\\,", ",")) == [
        "exec",
        "/usr/bin/setpriv",
        "--pdeathsig",
        "KILL",
        "--",
        "/bin/sh",
        "/r/a b;c,d/run.sh",
    ]
    assert "\nprocesses = 0\n" in text


def test_unknown_options_are_errors_everywhere(paths: Paths) -> None:
    assert "\nstrict = true\n" in ini_module.daemon(VASSAL, "/r/x")
    assert "\nstrict = true\n" in ini_module.emperor(paths)
