"""PIKU_LOG_DRAIN: what receivers get of an app's log through the real rsyslogd."""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox import Sandbox

from piku import procfs
from tests.e2e.support import App, web
from tests.e2e.test_logs import TELLER, tell
from tests.extras.log_drain.receivers import Receiver, Tcp, Udp, authority, closing

NewApp = Callable[..., App]


def telling(name: str, drains: str = "", env: str = "") -> Mapping[str, str]:
    """A web process and a worker that writes what it is told to."""
    own = f"PIKU_LOG_DRAIN={drains}\n{env}" if drains else env
    files = web(name, env=own, procfile="worker: exec python3 -uIS teller.py\n")
    return {**files, "teller.py": TELLER}


def numbered(text: str, last: int) -> list[str]:
    return [f"line {number} of {text}" for number in range(1, last + 1)]


def of(receiver: Receiver, text: str) -> list[str]:
    return [line for line in receiver.texts() if line.endswith(f" of {text}")]


def rsyslogds(server: Sandbox) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    wanted = f"rsyslogd -n -f {server.root}/"
    return [pid for pid in pids if procfs.command(pid).startswith(wanted)]


def test_every_kind_of_receiver_gets_every_processs_lines(new_app: NewApp, tmp_path: Path) -> None:
    ca, context = authority(tmp_path, "DNS:localhost")
    receivers = [Udp(), Tcp(), Tcp(context=context)]
    with closing(*receivers):
        schemes = ("syslog://127.0.0.1", "syslog+tcp://127.0.0.1", "syslog+tls://localhost")
        addresses = [f"{s}:{r.port}" for s, r in zip(schemes, receivers, strict=True)]
        job = "cron-tidy: 0 0 1 1 * echo tidied\n"
        files = telling("every", ",".join(addresses), "PIKU_LOG_DRAIN_CA=certs/ca.pem\n")
        app = new_app("every", {**files, "Procfile": files["Procfile"] + job, "certs/ca.pem": ca})
        app.body("/log?first=1&last=3&text=alpha")
        tell(app, "from the worker \u00e9\n\nand \x1b[31mred\x1b[0m\n")
        app.does("cron:run", "cron-tidy")
        wanted = {
            "web.1": "line 3 of alpha", "worker.1": "and \x1b[31mred\x1b[0m",
            "cron-tidy.1": "tidied", "nginx": "/log?first=1",
        }  # fmt: skip
        for receiver in receivers:
            for process, text in wanted.items():
                app.server.wait(
                    lambda r=receiver, p=process, t=text: t in "\n".join(r.texts(p)),  # type: ignore[misc]
                    what=f"{text} at {type(receiver).__name__}",
                )
            assert receiver.texts("web.1")[-4:] == ["one listens", *numbered("alpha", 3)]
            assert "from the worker \u00e9" in receiver.texts("worker.1")
            assert {message.app for message in receiver.messages} == {"every"}


def test_nothing_is_lost_or_doubled(new_app: NewApp) -> None:
    """Over rotations, deploys and a receiver that is down for a while."""
    tcp = Tcp()
    with closing(tcp):
        env = "UWSGI_LOG_MAXSIZE=20000\n"
        app = new_app("whole", telling("whole", f"syslog+tcp://127.0.0.1:{tcp.port}", env))
        for batch in range(5):
            tell(app, "".join(f"{line}\n" for line in numbered(f"batch {batch}", 300)))
            app.server.wait(lambda b=batch: len(of(tcp, f"batch {b}")) >= 300)  # type: ignore[misc]
        logs = app.server.root / "logs" / "whole"
        app.server.wait(lambda: list(logs.glob("worker.1@*.log.old")), what="the log is rotated")
        running = rsyslogds(app.server)
        app.commit(version_txt="two")
        app.deployed()
        assert rsyslogds(app.server) == running  # the setting is the same
        tell(app, "".join(f"{line}\n" for line in numbered("release two", 300)))
        app.server.wait(lambda: len(of(tcp, "release two")) >= 300)
        app.server.wait(lambda: "two listens" in tcp.texts("web.1"))
        for batch in range(5):
            assert of(tcp, f"batch {batch}") == numbered(f"batch {batch}", 300)
        assert of(tcp, "release two") == numbered("release two", 300)
    again = Tcp(tcp.port)
    with closing(again):
        tell(app, "".join(f"{line}\n" for line in numbered("after", 300)))
        app.server.wait(lambda: set(numbered("after", 300)) <= set(of(again, "after")), timeout=60)


def test_rsyslogd_runs_while_an_app_has_a_drain(new_app: NewApp, server: Sandbox) -> None:
    before = set(rsyslogds(server))
    tcp = Tcp()
    with closing(tcp):
        app = new_app("some", telling("some"))
        assert set(rsyslogds(server)) == before
        app.does("config:set", f"PIKU_LOG_DRAIN=syslog+tcp://127.0.0.1:{tcp.port}")
        tell(app, "now it is sent\n")
        server.wait(lambda: "now it is sent" in tcp.texts("worker.1"), timeout=20)
        [pid] = set(rsyslogds(server)) - before
        os.kill(pid, signal.SIGKILL)
        tell(app, "and after a crash\n")
        server.wait(lambda: "and after a crash" in tcp.texts("worker.1"), timeout=20)
        app.does("config:unset", "PIKU_LOG_DRAIN")
        server.wait(lambda: set(rsyslogds(server)) == before, what="it ends")


def test_what_is_wrong_is_in_the_log_of_the_drain(new_app: NewApp) -> None:
    closed = Tcp()
    closed.close()
    app = new_app("nobody", telling("nobody", f"syslog+tcp://127.0.0.1:{closed.port}"))
    tell(app, "a line\n")
    app.server.wait(
        lambda: "Connection refused" in app.says("logs", "drain", "--no-follow").stdout, timeout=20
    )
    assert ("worker.1 | a line") in app.does("logs", "worker", "--no-follow")


def test_certificates_that_are_not_there_are_refused(new_app: NewApp) -> None:
    env = "PIKU_LOG_DRAIN_CA=none.pem\n"
    app = new_app("lacks", telling("lacks", "syslog+tls://h", env), push=False)
    assert "PIKU_LOG_DRAIN_CA=none.pem has no certificate" in "\n".join(app.failed())
