"""Logs: what the files are called and hold, and how `piku logs` shows, filters and follows them."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from typing import Self

import pytest
from sandbox import Sandbox

from piku.uwsgi import noise
from tests.e2e.support import App, refused, web, wsgi

# Writes what a file tells it to as soon as that is there, in one go.
TELLER = """\
import os, time
data = os.environ["DATA_ROOT"]
while True:
    for name in sorted(n for n in os.listdir(data) if n.startswith("say-") and not n.endswith(".tmp")):
        with open(f"{data}/{name}", "rb") as file:
            text = file.read()
        while text:
            text = text[os.write(1, text):]
        os.unlink(f"{data}/{name}")
    time.sleep(0.01)
"""
ACCESS = re.compile(
    r'(?P<client>\S+(?:, \S+)*) - (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<uri>\S+) (?P<protocol>\S+)"'
    r' (?P<status>\d{3}) (?P<size>\d+) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)" (?P<ms>\d+)ms'
)


def tell(app: App, text: str | bytes) -> None:
    """Have the app's worker write this, and wait until it has."""
    place = app.data / f"say-{time.monotonic_ns()}"
    temporary = place.with_name(f"{place.name}.tmp")
    temporary.write_bytes(text if isinstance(text, bytes) else text.encode())
    temporary.rename(place)
    app.server.wait(lambda: not place.exists(), what="it is told")


def shown(app: App, *args: str) -> list[tuple[str, str]]:
    """The process and the text of each line that `logs` prints."""
    found = []
    for line in app.does("logs", *args, "--no-follow").splitlines():
        match = re.fullmatch(r"(\S+) *\| (.*)", line)
        assert match is not None, line
        found.append((match[1], match[2]))
    return found


@pytest.fixture(scope="module")
def app(new_app: Callable[..., App]) -> App:
    """A web process and a worker, each of which writes what it is told to."""
    files = {**web("told", procfile="worker: exec python3 -uIS teller.py\n"), "teller.py": TELLER}
    return new_app("told", files)


def test_lines_with_a_time_are_merged_and_others_are_blocks(app: App) -> None:
    tell(app, "2026-01-02 10:00:01 turn 1\n2026-01-02 10:00:03 turn 3\n")
    app.server.wait(lambda: ("worker.1", "2026-01-02 10:00:03 turn 3") in shown(app))
    folder = app.server.root / "logs" / app.name
    written = folder / "other.1@1.log"
    written.write_text("2026-01-02 10:00:02 turn 2\n    and more\n2026-01-02 10:00:04 turn 4\n")
    found = [line for line in shown(app) if "turn" in line[1]]
    assert found == [
        ("worker.1", "2026-01-02 10:00:01 turn 1"), ("other.1", "2026-01-02 10:00:02 turn 2"),
        ("worker.1", "2026-01-02 10:00:03 turn 3"), ("other.1", "2026-01-02 10:00:04 turn 4"),
    ]  # fmt: skip
    written.unlink()
    # Prefixes are aligned, and carry no colours into a pipe.
    lines = app.does("logs", "-n", "50", "--no-follow").splitlines()
    assert len({line.index("|") for line in lines}) == 1
    assert "\x1b" not in "".join(lines)


def test_types_instances_counts_and_mistakes(app: App) -> None:
    app.body("/log?first=1&last=30&text=alpha")
    app.server.wait(lambda: shown(app, "web", "-n", "1") == [("web.1", "line 30 of alpha")])
    assert shown(app, "web.1", "-n", "3") == [("web.1", f"line {n} of alpha") for n in (28, 29, 30)]
    assert shown(app, "-n", "0") == []
    assert len(shown(app, "-n", "7")) == 7  # of all together
    assert "Release v" in app.does("logs", "build")
    refused(app.says("logs", "nope", "--no-follow"), 1, "'nope'", "web.1", "build")
    refused(app.says("logs", "-n", "x"), 2)
    refused(app.says("logs", "--release", "99", "--no-follow"), 1, "no release v99")
    refused(app.says("logs", "--release", "x"), 2, "'x' is not a release")


def test_nothing_is_lost_of_much_at_once(app: App) -> None:
    app.body("/log?first=1&last=10000&text=flood")
    tell(app, "".join(f"line {number} of torrent\n" for number in range(1, 10001)))
    for process, text in (("web", "flood"), ("worker", "torrent")):
        last = (f"{process}.1", f"line 10000 of {text}")
        app.server.wait(lambda process=process, last=last: shown(app, process, "-n", "1") == [last])
        found = shown(app, process, "-n", "10000")
        assert [line for _, line in found] == [
            f"line {number} of {text}" for number in range(1, 10001)
        ]


def test_the_access_log_of_a_wsgi_app(new_app: Callable[..., App]) -> None:
    app = new_app("access", wsgi("access", env="UWSGI_LOG_MAXSIZE=4096\n"))
    log = app.server.root / "logs" / "access" / "wsgi.1.log"
    began = time.time() - 1
    status, _, body = app.server.get(
        app.host,
        "/some/where?a=b%20c",
        headers={"Referer": "http://from.example/x", "User-Agent": "Probe/1.0 (t)"},
    )
    assert status == 200
    lines = app.server.wait(
        lambda: [line for line in log.read_text().splitlines() if "/some/where" in line]
    )
    found = ACCESS.fullmatch(lines[-1])
    assert found is not None, lines
    assert (found["client"], found["user"]) == ("127.0.0.1", "-")
    assert (found["method"], found["uri"], found["protocol"]) == (
        "GET",
        "/some/where?a=b%20c",
        "HTTP/1.1",
    )
    assert (found["status"], found["referer"], found["agent"]) == (
        "200",
        "http://from.example/x",
        "Probe/1.0 (t)",
    )
    assert len(body) < int(found["size"]) < len(body) + 200  # with its head
    assert int(found["ms"]) < 5000
    said = datetime.strptime(found["time"], "%d/%b/%Y:%H:%M:%S %z")
    assert began - 1 < said.timestamp() < time.time() + 1
    assert said.utcoffset() == datetime.now().astimezone().utcoffset()
    assert ("wsgi.1", lines[-1]) in shown(app)

    # Files: names, modes, rotation.
    old = log.resolve().with_name(f"{log.resolve().name}.old")
    filled: list[str] = []

    def rotated() -> bool:  # no more than that: a second rotation would take the first lines away
        app.body(f"/fill/{len(filled)}")
        filled.append(f"/fill/{len(filled)}")
        return old.exists()

    app.server.wait(rotated, what="the log is rotated")
    # Between the renaming and the opening of the new one, lines still go to the old one.
    app.server.wait(lambda: app.body("/then") and log.exists() and "/then" in log.read_text())
    assert log.stat().st_mode & 0o777 == old.stat().st_mode & 0o777 == 0o640
    assert log.stat().st_uid == os.getuid()

    def asked() -> list[str]:
        lines = [ACCESS.fullmatch(line) for _, line in shown(app, "-n", "1000")]
        return sorted(m["uri"] for m in lines if m and m["uri"].startswith("/fill/"))

    app.server.wait(lambda: asked() == sorted(filled), what="all lines, over the rotation")


def test_a_terminal_gets_no_commands(new_app: Callable[..., App]) -> None:
    app = new_app("harmless", wsgi("harmless"))
    command = "z\x1b]52;c;cm0gLXJm\x07"
    app.server.get(app.host, "/command", headers={"User-Agent": command})
    app.server.wait(lambda: any("/command" in line for _, line in shown(app)))
    on_terminal = printed(app)
    assert rb"z\x1b]52;c;cm0gLXJm\x07" in on_terminal and b"\x1b]" not in on_terminal
    over_ssh = app.server.ssh("logs", app.name, "--no-follow").stdout
    assert r"z\x1b]52;c;cm0gLXJm\x07" in over_ssh and "\x1b]" not in over_ssh


def test_a_forwarded_address_is_logged_on_request(new_app: Callable[..., App]) -> None:
    app = new_app("forwarded", wsgi("forwarded"))
    log = app.server.root / "logs" / "forwarded" / "wsgi.1.log"

    def client(path: str, **headers: str) -> str:
        app.server.get(
            app.host,
            path,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        lines = app.server.wait(
            lambda: [line for line in log.read_text().splitlines() if path in line]
        )
        found = ACCESS.fullmatch(lines[-1])
        assert found is not None
        return found["client"]

    assert client("/plain", X_Forwarded_For="203.0.113.9") == "127.0.0.1"
    app.does("config:set", "UWSGI_LOG_X_FORWARDED_FOR=true")
    assert client("/set", X_Forwarded_For="203.0.113.9").startswith("203.0.113.9")
    assert client("/absent") == "127.0.0.1"


def test_each_releases_lines(new_app: Callable[..., App]) -> None:
    app = new_app("each", web("each"))
    app.commit(version_txt="two")
    app.deployed()
    app.commit(server_py="import sys\nprint('why it failed')\nsys.exit(1)\n")
    assert "why it failed" in "\n".join(app.failed())
    app.does("restart")
    assert ("web.1", "why it failed") in shown(app, "--release", "3")
    assert not [line for _, line in shown(app, "-n", "1000") if "why it failed" in line]
    for release, version in ((1, "one"), (2, "two")):
        lines = [
            line
            for _, line in shown(app, "--release", f"v{release}", "-n", "1000")
            if "listens" in line
        ]
        assert set(lines) == {f"{version} listens"}
        assert len(lines) == release  # the second was started again


def test_what_uwsgi_writes_at_the_end_is_text(new_app: Callable[..., App]) -> None:
    app = new_app("ends", web("ends", procfile="worker: echo begins; exec sleep 1000\n"))
    app.does("ps:scale", "web=2", "worker=3")
    app.does("ps:scale", "web=1", "worker=0")
    app.commit(server_py="import sys\nprint('why it failed')\nsys.exit(1)\n")
    app.failed()
    app.server.wait(lambda: set(app.ps()) == {"web.1"})
    logs = list((app.server.root / "logs" / "ends").glob("*@*.log"))
    assert len(logs) >= 6
    # Its logger's last line may be memory (uwsgi-remarks.txt): an address, which may have any byte.
    memory = re.compile(rb"(.{6}\0\0)\1.*\Z", re.DOTALL)
    texts = [log.read_bytes() for log in logs]
    for line in (line for text in texts for line in memory.sub(b"", text).splitlines()):
        assert noise.is_routine(line) or line.decode("ascii").isprintable(), line
    ends = [text for text in texts if b"\ngoodbye to uWSGI." in text or memory.search(text)]
    assert len(ends) >= len(logs) / 2


# --- following -----------------------------------------------------------------------------------


class Follower:
    """`ssh piku@server logs APP ARGS`, and the lines it has printed so far."""

    def __init__(self, app: App, *args: str) -> None:
        command = ["ssh", *app.server.ssh_options(), app.server.address, "logs", app.name, *args]
        self.app = app
        self.process = subprocess.Popen(
            command, env=app.server.client_env(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.text = b""
        self.said = b""

    def look(self) -> None:
        assert self.process.stdout is not None and self.process.stderr is not None
        while ready := select.select([self.process.stdout, self.process.stderr], [], [], 0)[0]:
            for stream in ready:
                data = os.read(stream.fileno(), 1 << 16)
                assert data, "it ended"
                if stream is self.process.stdout:
                    self.text += data
                else:
                    self.said += data

    def lines(self) -> list[str]:
        self.look()
        return [line.partition("| ")[2] for line in self.text.decode(errors="replace").splitlines()]

    def sees(self, line: str) -> None:
        self.app.server.wait(lambda: line in self.lines(), what=f"{line!r} is shown")

    def leave(self) -> None:
        self.process.terminate()
        self.process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


def running(app: App) -> list[str]:
    commands = [str(process) for process in app.server.processes()]
    return [command for command in commands if f"logs {app.name}" in command]


def test_following_over_rotations_and_a_deploy(new_app: Callable[..., App]) -> None:
    app = new_app("follow", web("follow", env="UWSGI_LOG_MAXSIZE=4096\n"))
    app.body("/log?first=0&last=0&text=before")
    app.server.wait(lambda: shown(app, "web", "-n", "1") == [("web.1", "line 0 of before")])
    with Follower(app, "web", "-n", "1") as client:
        client.sees("line 0 of before")
        for batch in range(4):
            app.body(f"/log?first={batch * 300 + 1}&last={batch * 300 + 300}&text=many")
            client.sees(f"line {batch * 300 + 300} of many")
        many = [
            int(m[1]) for line in client.lines() if (m := re.fullmatch(r"line (\d+) of many", line))
        ]
        assert many == list(range(1, 1201))
        logs = app.server.root / "logs" / "follow"
        app.server.wait(lambda: any(logs.glob("web.1@*.log.old")), what="the log is rotated")
        app.body("/log?first=1&last=1&text=after")
        client.sees("line 1 of after")
        app.commit(version_txt="two")
        app.deployed()
        client.sees("two listens")
        app.body("/log?first=1&last=1&text=release-two")
        client.sees("line 1 of release-two")
        lines = client.lines()
        own = [line for line in lines if re.search(r"line \d+ of|listens", line)]
        assert len(own) == len(set(own)) == 1 + 1200 + 1 + 2
        client.leave()
        app.server.wait(lambda: not running(app), what="logs ends on the server")


def test_following_a_failing_deploy_and_a_new_process(app: App) -> None:
    with Follower(app, "-n", "0") as client:
        tell(app, "ready 1\n")
        app.server.wait(lambda: running(app))
        app.server.wait(
            lambda: tell(app, "ready\n") or "ready" in client.lines(), what="it follows"
        )
        app.does("ps:scale", "web=2")
        app.server.wait(
            lambda: re.search(r"web\.2 +\| one listens", client.text.decode()) or client.look()
        )
        app.commit(crash_txt="x", server_py="import sys\nprint('why it failed')\nsys.exit(1)\n")
        app.failed()
        client.sees("why it failed")
        client.leave()
        app.server.wait(lambda: not running(app), what="logs ends on the server")


def test_ctrl_c_ends_it_without_a_word(app: App) -> None:
    process = subprocess.Popen(
        [str(app.server.checkout / "bin" / "piku"), "logs", app.name, "-n", "1"],
        env=app.server.server_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert b"Traceback" not in said and not said.strip()


def test_it_ends_well_when_nobody_reads(app: App) -> None:
    process = subprocess.Popen(
        [str(app.server.checkout / "bin" / "piku"), "logs", app.name, "-n", "1"],
        env=app.server.server_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None and process.stdout.readline()
    process.stdout.close()
    assert process.wait(10) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def printed(app: App, **env: str) -> bytes:
    """What `logs` prints on a terminal."""
    ours, theirs = pty.openpty()
    command = [
        str(app.server.checkout / "bin" / "piku"),
        "logs",
        app.name,
        "-n",
        "100000",
        "--no-follow",
    ]
    with subprocess.Popen(
        command, env={**app.server.server_env(), **env}, stdout=theirs
    ) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:  # the other side was closed
                break
            text += data
        assert process.wait() == 0
    os.close(ours)
    return text


def test_colours_on_a_terminal(app: App) -> None:
    found = set(re.findall(r"(\x1b\[\d+m)(\S+) *\|", printed(app).decode(errors="replace")))
    assert len(found) == len({colour for colour, _ in found}) > 1
    assert not re.search(rb"\x1b\[\d+m\S+ *\|", printed(app, NO_COLOR="1"))


def test_the_end_of_a_big_log_is_found_without_reading_it(app: App, server: Sandbox) -> None:
    big = server.root / "logs" / app.name / "worker.1@1.log.old"
    with big.open("wb") as file:
        for _ in range(200):
            file.write(b"filler\n" * (2**20 // 7))
    tell(app, "at the end of the big one\n")
    app.server.wait(
        lambda: shown(app, "worker", "-n", "1") == [("worker.1", "at the end of the big one")]
    )
    piku = [
        str(server.checkout / "bin" / "piku"),
        "logs",
        app.name,
        "worker",
        "-n",
        "1",
        "--no-follow",
    ]
    command = ["prlimit", f"--data={60 * 2**20}", *piku]
    out = subprocess.run(
        command, env=server.server_env(), capture_output=True, text=True, check=True
    ).stdout
    assert out.endswith("| at the end of the big one\n")
    big.unlink()


def test_what_nginx_answered_for_a_web_app(new_app: Callable[..., App]) -> None:
    app = new_app("asked", web("asked"))
    log = app.server.root / "logs" / app.name / "nginx.log"
    headers = {"User-Agent": "Agent/1", "Referer": "http://from.example/"}
    app.server.get("asked.localhost", "/some?a=1", headers=headers)
    app.server.wait(lambda: '"GET /some?a=1 HTTP/1.1" 200 ' in log.read_text())
    [line] = [line for line in log.read_text().splitlines() if "/some" in line]
    fields = r'127\.0\.0\.1 - - \[[^\]]+\] "GET /some\?a=1 HTTP/1\.1" 200 \d+ "http://from\.example/" "Agent/1" \d+ms'
    assert re.fullmatch(fields, line)
    assert log.stat().st_mode & 0o777 == 0o640
    assert ("nginx", line) in shown(app, "nginx")

    # It is rotated, and no line is lost.
    with log.open("a") as file:
        file.write("filler\n" * 200_000)
    assert app.server.piku("housekeeping").returncode == 0
    old = log.with_name("nginx.log.old")
    assert "/some" in old.read_text() and log.stat().st_mode & 0o777 == 0o640
    app.server.get("asked.localhost", "/after")
    app.server.wait(lambda: "/after " in log.read_text() + old.read_text())
    app.server.wait(
        lambda: app.server.get("asked.localhost", "/last") and "/last " in log.read_text()
    )
