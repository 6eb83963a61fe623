"""PIKU_LOG_DRAIN: what receivers get of an app's log, and that they can be in nobody's way."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox, free_ports

from tests.e2e.support import App, refused, web, wsgi
from tests.processes.receivers import Http, Receiver, Tcp, Udp, authority, closing
from tests.processes.test_logs import TELLER, tell

NewApp = Callable[..., App]
UTC_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def telling(name: str, drains: str = "", env: str = "") -> dict[str, str]:
    """A web process and a worker, each of which writes what it is told to."""
    own = f"PIKU_LOG_DRAIN={drains}\n{env}" if drains else env
    files = web(name, env=own, procfile="worker: exec python3 -uIS teller.py\n")
    return {**files, "teller.py": TELLER}


def numbered(text: str, last: int) -> list[str]:
    return [f"line {number} of {text}" for number in range(1, last + 1)]


def of(receiver: Receiver, text: str) -> list[str]:
    return [line for line in receiver.texts() if line.endswith(f" of {text}")]


def told(app: App) -> str:
    """What the app's own people read of its receivers."""
    return app.says("logs", "drain", "--no-follow").stdout


def platform_log(server: Sandbox) -> str:
    return (server.root / "uwsgi" / "drain.log").read_text()


def shippers(server: Sandbox) -> list[int]:
    return [
        process.pid
        for process in server.processes()
        if "piku.extras.log_drain.shipper" in str(process).split("setpriv")[0]
    ]


@pytest.fixture
def tcp() -> Iterator[Tcp]:
    receiver = Tcp()
    with closing(receiver):
        yield receiver


# --- what comes ----------------------------------------------------------------------------------


def test_every_kind_of_receiver_gets_every_processs_lines(new_app: NewApp, tmp_path: Path) -> None:
    ca, context = authority(tmp_path, "IP:127.0.0.1")
    receivers = [Udp(), Tcp(), Tcp(context=context), Http(), Http(context=context)]
    udp, tcp, tls, logplex, lines = receivers
    with closing(*receivers):
        addresses = [
            f"syslog://127.0.0.1:{udp.port}", f"syslog+tcp://127.0.0.1:{tcp.port}",
            f"syslog+tls://127.0.0.1:{tls.port}", f"http://ann:s%40cret@127.0.0.1:{logplex.port}/in?token=s3cret",
            f"https+json://127.0.0.1:{lines.port}/",
        ]  # fmt: skip
        job = "cron-tidy: 0 0 1 1 * echo tidied\n"
        files = telling("every", ",".join(addresses), "PIKU_LOG_DRAIN_CA=certs/ca.pem\n")
        files = {**files, "Procfile": files["Procfile"] + job, "certs/ca.pem": ca}
        app = new_app("every", files, push=False)
        said = app.deployed()
        assert "cret" not in "\n".join(said)
        app.body("/log?first=1&last=3&text=alpha")
        tell(app, "from the worker \u00e9\n\nand \x1b[31mred\x1b[0m\n")
        app.does("cron:run", "cron-tidy")
        log = app.server.root / "logs" / "every" / "web.1.log"
        for receiver in receivers:
            wanted = {
                "web.1": "line 3 of alpha", "worker.1": "and \x1b[31mred\x1b[0m", "cron-tidy.1": "tidied",
                "nginx": "/log?first=1",
            }  # fmt: skip
            for process, text in wanted.items():
                app.server.wait(
                    lambda r=receiver, p=process, t=text: t in "\n".join(r.texts(p)), what=text
                )  # type: ignore[misc]
            assert receiver.texts("web.1")[-4:] == ["one listens", *numbered("alpha", 3)]
            assert receiver.texts("worker.1")[-2:] == [
                "from the worker \u00e9",
                "and \x1b[31mred\x1b[0m",
            ]
            assert {message.app for message in receiver.messages} == {"every"}
            assert all(re.fullmatch(UTC_TIME, message.time) for message in receiver.messages)
            assert "\x1b]7331" not in "".join(receiver.texts())
            said_at = [m.time for m in receiver.messages if m.text == "line 3 of alpha"]
            assert said_at == [m.time for m in udp.messages if m.text == "line 3 of alpha"]
        assert isinstance(logplex, Http) and isinstance(lines, Http)
        path, headers = logplex.requests[0]
        assert path == "/in?token=s3cret" and headers["Authorization"] == "Basic YW5uOnNAY3JldA=="
        assert headers["Content-Type"] == "application/logplex-1"
        assert re.fullmatch(
            r"d\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers["Logplex-Drain-Token"]
        )
        assert lines.requests[0][1]["Content-Type"] == "application/x-ndjson"
        # On the server all is as it would be without them.
        assert "line 3 of alpha" in log.read_text() and "\x1b]7331" in log.read_text()
        assert "line 3 of alpha" in app.does("logs", "web", "--no-follow")
        assert "cret" not in platform_log(app.server) and "cret" not in app.does("releases")
        listing = app.server.root / "uwsgi" / "drain.json"
        assert listing.stat().st_mode & 0o777 == 0o600
        assert len(shippers(app.server)) == 1
        app.does("destroy", "--force")


def test_the_access_lines_of_a_wsgi_app(new_app: NewApp, tcp: Tcp) -> None:
    app = new_app(
        "asking", wsgi("asking", env=f"PIKU_LOG_DRAIN=syslog+tcp://127.0.0.1:{tcp.port}\n")
    )
    app.body("/some?a=1")
    app.server.wait(
        lambda: any('"GET /some?a=1 HTTP/1.1" 200 ' in text for text in tcp.texts("wsgi.1"))
    )
    app.does("destroy", "--force")


def test_each_line_comes_once_over_rotations_deploys_and_scaling(new_app: NewApp, tcp: Tcp) -> None:
    drain = f"syslog+tcp://127.0.0.1:{tcp.port}"
    app = new_app("gapless", telling("gapless", drain, "UWSGI_LOG_MAXSIZE=4096\n"))
    logs = app.server.root / "logs" / "gapless"
    for batch in range(4):
        app.body(f"/log?first={batch * 300 + 1}&last={batch * 300 + 300}&text=many")
        app.server.wait(lambda n=batch * 300 + 300: f"line {n} of many" in tcp.texts())  # type: ignore[misc]
    app.server.wait(lambda: (logs / "web.1.log.old").exists(), what="the log is rotated")
    app.body("/log?first=1201&last=1201&text=many")
    app.commit(version_txt="two")
    app.deployed()
    app.body("/log?first=1202&last=1202&text=many")
    app.does("ps:scale", "web=2")
    for number in range(1203, 1213):
        app.body(f"/log?first={number}&last={number}&text=many")
    app.server.wait(lambda: "line 1212 of many" in tcp.texts())
    app.server.wait(lambda: len(of(tcp, "many")) >= 1212)
    assert sorted(of(tcp, "many"), key=lambda line: int(line.split()[1])) == numbered("many", 1212)
    assert tcp.texts("web.2").count("two listens") == 1
    app.does("destroy", "--force")


def test_over_a_restart_of_the_platform(own_server: Sandbox, new_app: NewApp, tcp: Tcp) -> None:
    app = new_app("again", telling("again", f"syslog+tcp://127.0.0.1:{tcp.port}"), on=own_server)
    app.body("/log?first=1&last=500&text=before")
    assert own_server.stop_platform() == 0
    own_server.start_platform()
    own_server.wait(lambda: app.status() == 200)
    app.body("/log?first=1&last=500&text=after")
    own_server.wait(lambda: "line 500 of after" in tcp.texts())
    assert of(tcp, "before") == numbered("before", 500)
    assert of(tcp, "after") == numbered("after", 500)
    # What was written while nothing was sent comes later.
    [pid] = shippers(own_server)
    os.kill(pid, 9)
    app.body("/log?first=1&last=500&text=meanwhile")
    own_server.wait(lambda: "line 500 of meanwhile" in tcp.texts(), timeout=20)
    assert set(of(tcp, "meanwhile")) == set(numbered("meanwhile", 500))


def test_apps_do_not_mix_and_the_server_has_one_for_all(
    own_server: Sandbox, new_app: NewApp
) -> None:
    everybody, own = Tcp(), Tcp()
    with closing(everybody, own):
        own_server.root.joinpath("ENV").write_text(
            f"PIKU_LOG_DRAIN=syslog+tcp://127.0.0.1:{everybody.port}\n"
        )
        first = new_app("first", telling("first"), on=own_server)
        second = new_app(
            "second", telling("second", f"syslog+tcp://127.0.0.1:{own.port}"), on=own_server
        )
        tell(first, "said by first\n")
        tell(second, "said by second\n")
        own_server.wait(lambda: "said by first" in everybody.texts("worker.1", "first"))
        own_server.wait(lambda: "said by second" in own.texts("worker.1", "second"))
        assert {message.app for message in everybody.messages} == {"first"}
        assert {message.app for message in own.messages} == {"second"}
        assert len(shippers(own_server)) == 1


def test_nothing_is_sent_after_it_was_unset(own_server: Sandbox, new_app: NewApp, tcp: Tcp) -> None:
    app = new_app("unset", telling("unset"), on=own_server)
    tell(app, "before it was set\n")
    assert not shippers(own_server)
    app.does("config:set", f"PIKU_LOG_DRAIN=syslog+tcp://127.0.0.1:{tcp.port}")
    tell(app, "while it is set\n")
    own_server.wait(lambda: "while it is set" in tcp.texts())
    assert "before it was set" not in tcp.texts()
    app.does("config:unset", "PIKU_LOG_DRAIN")
    own_server.wait(lambda: not shippers(own_server), what="nobody sends anything")
    tell(app, "after it was unset\n")
    app.server.wait(lambda: "after it was unset" in app.does("logs", "worker", "--no-follow"))
    assert "after it was unset" not in tcp.texts()
    assert not (own_server.root / "uwsgi-enabled" / "@drain.ini").exists()


# --- when receivers are not as they should be ----------------------------------------------------


def test_a_receiver_that_is_down_costs_nobody_anything(new_app: NewApp) -> None:
    [port] = free_ports(1)
    app = new_app("unheard", telling("unheard"))

    def pushed() -> float:
        app.commit(version_txt=str(time.monotonic_ns()))
        began = time.monotonic()
        app.deployed()
        return time.monotonic() - began

    without = min(pushed() for _ in range(2))
    drains = f"syslog+tcp://127.0.0.1:{port},syslog+tcp://nowhere.invalid:601"
    app.does("config:set", f"PIKU_LOG_DRAIN={drains}")
    assert min(pushed() for _ in range(2)) < without + 1.0
    text = "x" * 200
    big = [f"{line} {text} of unheard" for line in numbered("many", 10000)]
    tell(app, "".join(f"{line}\n" for line in big))  # 2.4 MB: more than is kept
    refusal = f"syslog+tcp://127.0.0.1:{port} does not take the log: Connection refused"
    app.server.wait(lambda: refusal in told(app), what="it is said")
    assert platform_log(app.server).count(refusal) == 1  # and not said again within a minute
    assert "nowhere.invalid:601 does not take the log: " in platform_log(app.server)
    app.server.wait(lambda: big[-1] in app.does("logs", "worker", "-n", "1", "--no-follow"))
    receiver = Tcp(port)
    with closing(receiver):
        back = re.compile(rf"127\.0\.0\.1:{port} takes the log again; (\d+) lines were dropped")
        found = app.server.wait(lambda: back.search(platform_log(app.server)), timeout=30)
        assert found is not None
        app.server.wait(lambda: big[-1] in receiver.texts())
        assert f"{found[1]} lines were dropped" in " ".join(receiver.texts("drain"))
        # The newest are there, in order, and the number is right.
        got = of(receiver, "unheard")
        assert got == big[-len(got) :] and len(got) > 2000
        tell(app, "and on\n")
        app.server.wait(lambda: "and on" in receiver.texts("worker.1"))
        assert not re.findall(r"Traceback", platform_log(app.server))
    app.does("destroy", "--force")


def test_much_at_once(new_app: NewApp) -> None:
    receivers = [Tcp(), Http(), Tcp(deaf=True)]
    tcp, http, deaf = receivers
    with closing(*receivers):
        app = new_app("much", telling("much"))
        lines = numbered("flood", 10000)
        text = "".join(f"{line}\n" for line in lines)

        def took() -> float:
            began = time.monotonic()
            tell(app, text)
            return time.monotonic() - began

        without = min(took() for _ in range(3))
        app.does(
            "config:set",
            f"PIKU_LOG_DRAIN=syslog+tcp://127.0.0.1:{tcp.port},http+json://127.0.0.1:{http.port}/,"
            f"syslog+tcp://127.0.0.1:{deaf.port}",
        )
        assert min(took() for _ in range(3)) < without + 0.5
        for receiver in (tcp, http):
            app.server.wait(lambda r=receiver: len(of(r, "flood")) >= 30000, timeout=30)  # type: ignore[misc]
            assert of(receiver, "flood") == lines * 3
        found = app.does(
            "logs", "worker", "-n", "70000", "--grep", "of flood", "--no-follow"
        ).splitlines()
        assert [line.partition("| ")[2] for line in found][-30000:] == lines * 3
        [pid] = shippers(app.server)
        resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        assert resident is not None and int(resident[1]) < 40_000
        print(f"shipper: {resident[1]} kB, 10,000 lines told in {without:.2f} s")
        app.does("destroy", "--force")


def test_one_datagram_a_line(new_app: NewApp) -> None:
    receiver = Udp()
    with closing(receiver):
        app = new_app("datagrams", telling("datagrams", f"syslog://127.0.0.1:{receiver.port}"))
        tell(app, "".join(f"{line}\n" for line in numbered("flood", 10000)))

        def heard_again() -> bool:  # what is lost on the way nobody knows, be it the last line
            tell(app, "after the flood\n")
            return "after the flood" in receiver.texts()

        app.server.wait(heard_again, timeout=20)
        assert len(of(receiver, "flood")) > 1000
        tell(app, "x" * 5000 + "\n")
        app.server.wait(
            lambda: sum(map(len, (t for t in receiver.texts() if t.strip("x") == ""))) == 5000
        )
        app.does("destroy", "--force")


def test_a_receivers_certificate_is_checked(new_app: NewApp, tmp_path: Path) -> None:
    ca, context = authority(tmp_path / "ours", "DNS:localhost")
    receiver = Tcp(context=context)
    with closing(receiver):
        app = new_app("checked", telling("checked", f"syslog+tls://localhost:{receiver.port}"))
        unknown = "(self-signed certificate in|unable to get local issuer)"
        app.server.wait(lambda: re.search(unknown, told(app)))
        assert not receiver.messages
        place = tmp_path / "ca.pem"
        place.write_text(ca)
        place.chmod(0o644)
        for folder in (tmp_path, *tmp_path.parents[:3]):
            if folder.stat().st_uid == os.getuid():
                folder.chmod(folder.stat().st_mode | 0o111)
        app.does("config:set", f"PIKU_LOG_DRAIN_CA={place}")
        app.server.wait(lambda: "one listens" in receiver.texts("web.1"))
        # A name that it does not have.
        app.does("config:set", f"PIKU_LOG_DRAIN=syslog+tls://127.0.0.1:{receiver.port}")
        app.server.wait(lambda: "IP address mismatch" in told(app))
        app.does("destroy", "--force")


def test_a_receiver_that_refuses(new_app: NewApp) -> None:
    receiver = Http(503, 503, 400)
    with closing(receiver):
        app = new_app("refuses", telling("refuses", f"http+json://127.0.0.1:{receiver.port}/in"))
        app.server.wait(lambda: not receiver.statuses, what="it has refused")
        app.server.wait(lambda: "it answered 503" in told(app))
        tell(app, "later\n")
        app.server.wait(lambda: "later" in receiver.texts("worker.1"), timeout=20)
        app.server.wait(lambda: "takes the log again; " in platform_log(app.server))
        app.does("destroy", "--force")


def test_mistakes_are_said_without_what_may_be_secret(new_app: NewApp) -> None:
    app = new_app("mistakes", telling("mistakes"))
    for value, said in (
        ("ftp://ann:s3cret@h", "not one of syslog://"), ("syslog://h:1/s3cret", "nothing but HOST:PORT"),
        ("https://h,https://ann:s3cret@h:99999", "address 2: its host or port is not one"),
    ):  # fmt: skip
        result = app.says("config:set", f"PIKU_LOG_DRAIN={value}")
        assert result.returncode == 1 and "s3cret" not in result.stdout + result.stderr
        assert said in result.stdout + result.stderr
    app.commit(
        ENV="NGINX_SERVER_NAME=mistakes.localhost\nPIKU_LOG_DRAIN=syslog+tls://h\nPIKU_LOG_DRAIN_CA=Procfile\n"
    )
    assert "PIKU_LOG_DRAIN_CA=Procfile holds no certificate" in "\n".join(app.failed())
    assert json.loads(app.does("ps", "--json"))
    app.does("destroy", "--force")
    refused(app.says("logs"), 1, "mistakes")
