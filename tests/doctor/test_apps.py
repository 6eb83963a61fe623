"""`piku doctor` and what can be wrong with apps: each fault made for real, found, mended, and gone."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.doctor.support import (
    EXAMINE,
    elsewhere,
    examined,
    mended,
    reports,
    sees,
    sees_no_more,
    the_one,
    with_text,
)
from tests.e2e.conftest import NewApp, started
from tests.e2e.support import APPS, App, web, wsgi

PATIENT = (APPS / "patient.py").read_text()
NOWHERE = (
    "https://127.0.0.1:1/directory"  # no authority: names that look public must not be asked for
)


@pytest.fixture(scope="module")
def ward() -> Iterator[Sandbox]:
    """A server whose apps are ill."""
    for server in started():
        server.wait((server.root / "nginx" / "nginx.pid").exists)
        yield server


def patient(name: str, env: str = "", procfile: str = "") -> dict[str, str]:
    files = web(name, env=env)
    return {
        **files,
        "Procfile": f"web: exec python3 -IS server.py\n{procfile}",
        "server.py": PATIENT,
    }


def ill(app: App, how: str) -> None:
    """Have the app start in this way from now on, and end the process that runs; piku starts it again."""
    app.data.mkdir(exist_ok=True)
    (app.data / "how").write_text(how)
    os.kill(app.ps()["web.1"]["pid"], signal.SIGKILL)


# --- releases ------------------------------------------------------------------------------------


def test_releases(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("rel", patient("rel"), on=ward, push=False)
    ward.commit(app.repository, {"Procfile": "preflight: exit 9\nweb: exec python3 server.py\n"})
    app.failed()
    finding = sees(ward, "its last deploy failed: v1, ", "rel", fix="piku logs rel build")
    assert "nothing runs" in finding["what"] and "exit code 9" in finding["what"]
    ward.commit(app.repository, {"Procfile": "web: exec python3 server.py\n"})
    app.deployed()
    sees_no_more(ward, "last deploy", "rel")
    ward.commit(app.repository, {"Procfile": "preflight: exit 9\nweb: exec python3 server.py\n"})
    app.failed()
    finding = sees(ward, "its last deploy failed: v3, ", "rel", severity="warning")
    assert "v2 goes on" in finding["what"]

    (app.data).mkdir(exist_ok=True)
    wait = "preflight: touch $DATA_ROOT/here; sleep 60\nweb: exec python3 server.py\n"
    ward.commit(app.repository, {"Procfile": wait})
    push = subprocess.Popen(
        ["git", "push", ward.remote("rel"), "main"], cwd=app.repository, env=ward.git_env(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ward.wait((app.data / "here").exists, timeout=20)
    sees_no_more(ward, "broken off", "rel")  # somebody is at it
    for command in (
        "bin/piku git-receive-pack",
        "bin/piku git-hook",
    ):  # the first would tidy up after the second
        for process in [p for p in ward.processes() if command in str(p)]:
            process.kill()
    push.wait()
    sees(
        ward,
        "its last deploy, v4, was broken off; v2 goes on",
        "rel",
        severity="warning",
        fix="piku deploy rel",
    )
    ward.commit(app.repository, {"Procfile": "web: exec python3 server.py\n"})
    app.deployed()
    assert not [
        f for f in examined(ward, "rel") if f["check"] == "releases" and f["severity"] != "ok"
    ]


def test_records_and_settings_that_are_damaged(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("rec", patient("rec"), on=ward)
    settings = ward.root / "envs" / "rec" / "ENV"
    settings.write_text("NGINX_HTTPS_ONLY=maybe\n")
    finding = sees(ward, "its next deploy is going to fail: NGINX_HTTPS_ONLY=maybe", "rec")
    assert finding["check"] == "releases"
    settings.unlink()
    sees_no_more(ward, "next deploy", "rec")

    link = ward.root / "apps" / "rec"
    target = link.readlink()
    link.unlink()
    link.symlink_to("/nonexistent")
    mended(ward, sees(ward, "does not lead to its live release", "rec", fix="piku restart rec"))
    assert link.readlink() == target
    checkout = link.resolve()
    checkout.rename(f"{checkout}.gone")
    sees(ward, "the code of its live release v1 is gone", "rec", fix="piku deploy rec")
    Path(f"{checkout}.gone").rename(checkout)
    sees_no_more(ward, "live release", "rec")

    live = ward.root / "releases" / "rec" / "live.json"
    text = live.read_text()
    live.write_text("{")
    for words in (("rec",), ()):
        found = [f for f in examined(ward, *words) if "live.json is damaged" in f["what"]]
        assert found and found[0]["severity"] == "problem"
    live.write_text(text)
    sees_no_more(ward, "is damaged", "rec")
    assert app.status() == 200


def test_a_clock_that_was_set_back(ward: Sandbox, new_app: NewApp) -> None:
    new_app("rewound", patient("rewound"), on=ward)
    record = ward.root / "releases" / "rewound" / "v1.json"
    stored = json.loads(record.read_text())
    record.write_text(json.dumps({**stored, "created": time.time() + 86400}))
    sees(
        ward, "the clock was set back: a release was made at ", fix="sudo timedatectl set-ntp true"
    )
    record.write_text(json.dumps(stored))
    sees_no_more(ward, "the clock was set back")


# --- processes -----------------------------------------------------------------------------------


def test_processes(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("proc", patient("proc", procfile="worker: exec sleep 1000\n"), on=ward)
    port = app.ps()["web.1"]["address"].rpartition(":")[2]

    def waits_for(text: str, fix: str) -> None:
        def told() -> list[dict[str, str]]:
            return [f for f in with_text(examined(ward, "proc"), text) if f["check"] == "processes"]

        assert fix in ward.wait(told, timeout=20)[0]["fix"]
        # Asked from outside, nginx's 502 has the same cause.
        finding = ward.wait(
            lambda: [
                f
                for f in with_text(examined(ward, "proc"), "http://proc.localhost")
                if text in f["what"]
            ],
            timeout=20,
        )[0]
        assert finding["severity"] == "problem"
        assert app.status() == 502

    ill(app, "8999")
    waits_for(f"web.1 listens on 127.0.0.1:8999, not on 127.0.0.1:{port}", "listen on $PORT")
    ill(app, "six")
    waits_for(
        f"web.1 listens on [::1]:{port} alone, and nginx asks 127.0.0.1:{port}",
        "listen on $BIND_ADDRESS",
    )
    ill(app, "nowhere")
    waits_for("web.1 runs, and listens nowhere", "listen on $BIND_ADDRESS and $PORT")
    ill(app, "exit")
    waits_for("web.1 keeps ending with exit code 7", "piku logs proc")
    finding = the_one(
        [f for f in examined(ward, "proc") if f["check"] == "processes"], "keeps ending"
    )
    assert "there is no database" in finding["detail"]
    (app.data / "how").unlink()
    app.does("restart")
    assert not with_text(examined(ward, "proc"), "")
    assert app.status() == 200

    (vassal,) = (ward.root / "uwsgi-enabled").glob("proc@*.worker.1.ini")
    vassal.unlink()
    ward.wait(lambda: with_text(examined(ward, "proc"), "worker.1 does not run"), timeout=20)
    mended(ward, sees(ward, "worker.1 does not run", "proc", fix="piku restart proc"))
    sees_no_more(ward, "does not run", "proc")


def test_going_back_is_offered(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("back", patient("back"), on=ward)
    app.commit(version_txt="two")
    app.deployed()
    ill(app, "exit")
    ward.wait(lambda: with_text(examined(ward), "web.1 keeps ending"), timeout=20)
    sees(ward, "web.1 keeps ending", fix="piku rollback back v1")
    (app.data / "how").unlink()
    app.does("restart")
    assert not with_text(examined(ward, "back"), "")


def test_a_socket_that_is_missing(ward: Sandbox, new_app: NewApp) -> None:
    new_app("plug", wsgi("plug"), on=ward)
    (ward.root / "nginx" / "plug.sock").unlink()
    found = examined(ward, "plug")
    the_one([f for f in found if f["check"] == "processes"], "plug.sock", fix="piku restart plug")
    finding = the_one(
        [f for f in found if f["check"] == "outside"],
        "plug.sock is missing",
        fix="piku restart plug",
    )
    mended(ward, finding)
    assert not with_text(examined(ward, "plug"), "")


def test_jobs(ward: Sandbox, new_app: NewApp) -> None:
    jobs = "cron-backup: @monthly test -e $DATA_ROOT/disk\ncron-fine: @monthly true\n"
    app = new_app("jobber", patient("jobber", procfile=jobs), on=ward)
    assert app.says("cron:run", "backup").returncode == 1
    app.does("cron:run", "fine")
    sees(
        ward,
        "cron-backup failed with exit code 1 at ",
        severity="warning",
        fix="piku logs jobber cron-backup",
    )
    (app.data / "disk").touch()
    app.does("cron:run", "backup")
    sees_no_more(ward, "cron-backup failed")


def test_what_is_left_behind(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("tidy", patient("tidy"), on=ward)
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = ward.root / "releases" / "tidy" / f".v9.json.{ended.pid}.abcdefgh.tmp"
    left.touch()
    mended(ward, sees(ward, f"a command that was killed left {left}", "tidy", severity="warning"))
    sees_no_more(ward, "a command that was killed", "tidy")

    variables = {
        "PIKU_PROCESS": "tidy@1.web.9",
        "LOG_ROOT": str(app.server.root / "logs" / "tidy"),
        "APP": "tidy",
    }
    orphan = subprocess.Popen(["sleep", "1000"], env={**ward.server_env(), **variables})
    try:
        finding = sees(
            ward, f"process {orphan.pid} (sleep 1000) outlived web.9", "tidy", severity="warning"
        )
        mended(ward, finding)
        assert orphan.wait(5) == -signal.SIGTERM
    finally:
        orphan.kill()
        orphan.wait()
    sees_no_more(ward, "outlived", "tidy")

    stray = ward.root / "uwsgi-enabled" / "gone@3.worker.1.ini"
    stray.write_text("[uwsgi]\nmaster = true\n")
    mended(
        ward,
        sees(
            ward,
            "gone@3.worker.1 still runs, and its app is gone",
            severity="warning",
            fix=f"rm {stray}",
        ),
    )
    sees_no_more(ward, "its app is gone")


def test_static_files(ward: Sandbox, new_app: NewApp) -> None:
    files = {**patient("files", env="NGINX_STATIC_PATHS=/media:media\n"), "media/a.txt": "a"}
    app = new_app("files", files, on=ward)
    folder = (ward.root / "apps" / "files").resolve() / "media"
    folder.rename(f"{folder}.gone")
    sees(ward, "what nginx is to serve at /media is not there", fix="piku deploy files")
    sees(ward, "for what it is to serve at /media is not there", "files", "--url", "/media/a.txt")
    Path(f"{folder}.gone").rename(folder)
    sees_no_more(ward, "/media", "files", "--url", "/media/a.txt")
    missing = f"there is no file {ward.root}/apps/files/media/b.txt"
    sees(ward, missing, "files", "--url", "/media/b.txt", severity="warning", fix="NGINX_CATCH_ALL")
    assert app.status("/media/a.txt") == 200


# --- names and certificates ----------------------------------------------------------------------


def test_names(ward: Sandbox, new_app: NewApp) -> None:
    names = ("here", "away", "both", "none", "proxied")
    servers = ",".join(f"{name}.piku-doctor.dev" for name in names)
    new_app(
        "named",
        {**patient("named"), "ENV": f"NGINX_SERVER_NAME={servers}\nACME_ROOT_CA={NOWHERE}\n"},
        on=ward,
    )
    cloudflare = "104.16.1.1"
    hosts = {
        "here": ["127.0.0.1"], "away": ["203.0.113.9"], "both": ["127.0.0.1", "198.51.100.7"], "proxied": [cloudflare],
    }  # fmt: skip
    text = "".join(f"{ip} {name}.piku-doctor.dev\n" for name, ips in hosts.items() for ip in ips)
    (ward.home / "hosts").write_text(f"127.0.0.1 localhost\n{text}")
    (ward.home / "nsswitch").write_text("hosts: files\npasswd: files\n")
    said = elsewhere(
        ward,
        "mount --bind hosts /etc/hosts; mount --bind nsswitch /etc/nsswitch.conf\n"
        f"{EXAMINE.replace('doctor', 'doctor named')}"
        f"{EXAMINE.replace('doctor', 'doctor named --online')}"
        "echo '127.0.0.1 away.piku-doctor.dev none.piku-doctor.dev both.piku-doctor.dev' >hosts\n"
        f"{EXAMINE.replace('doctor', 'doctor named')}",
    )
    asked, online, well = reports(said)
    the_one(
        asked,
        "away.piku-doctor.dev leads to 203.0.113.9, which is not this host",
        severity="warning",
        fix="DNS",
    )
    both = the_one(
        asked, "both.piku-doctor.dev leads here, and to 198.51.100.7 as well", severity="warning"
    )
    assert "take 198.51.100.7 out of the DNS records" in both["fix"]
    the_one(
        asked,
        "none.piku-doctor.dev has no address in the DNS",
        fix="make a DNS record for none.piku-doctor.dev",
    )
    good = [f["what"] for f in asked if f["severity"] == "ok"]
    assert "here.piku-doctor.dev leads here: 127.0.0.1" in good
    assert "proxied.piku-doctor.dev leads to Cloudflare" in good
    # By which port that is depends on what else runs on this machine.
    assert [f for f in online if f["what"].startswith("here.piku-doctor.dev reaches ")]
    the_one(online, "none.piku-doctor.dev", fix="make a DNS record")
    left = [f["what"] for f in well if f["check"] == "names" and f["severity"] != "ok"]
    assert all("here." in what or "proxied." in what for what in left), left
    assert not list((ward.root / "acme").rglob("piku-doctor-*"))


def test_certificates(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app(
        "sealed",
        {
            **patient("sealed"),
            "ENV": f"NGINX_SERVER_NAME=sealed.piku-doctor.dev\nACME_ROOT_CA={NOWHERE}\n",
        },
        on=ward,
    )
    text = "its certificate is self-signed: browsers warn of sealed.piku-doctor.dev"
    tried = "no certificate could be had for it"
    ward.wait(
        lambda: (
            with_text(examined(ward, "sealed"), text) + with_text(examined(ward, "sealed"), tried)
        )
    )
    ward.piku("certs:renew", "sealed")  # there is no such authority
    sees(ward, tried, "sealed", severity="warning", fix="piku certs:renew sealed")

    def give(days: float, *names: str) -> None:
        made = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", str(days), "-subj", "/CN=own", "-keyout", "-", "-out", "-",
             "-addext", f"subjectAltName={','.join(f'DNS:{name}' for name in names)}"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert ward.piku("certs:add", "sealed", "-", input=made.stdout).returncode == 0

    give(90, "sealed.piku-doctor.dev")
    assert not [
        f
        for f in examined(ward, "sealed")
        if "its certificate" in f["what"] and f["severity"] != "ok"
    ]
    give(5, "sealed.piku-doctor.dev")
    assert "ends on" not in json.dumps(
        with_text(examined(ward, "sealed"), "certificate")
    )  # it is as good as new
    (own,) = (ward.root / "nginx").glob("sealed@own*.pem")
    first, _, rest = own.read_text().partition("\n")
    facts = json.loads(first.removeprefix("# piku: "))
    own.write_text(
        f"# piku: {json.dumps({**facts, 'not_before': facts['not_before'] - 80 * 86400})}\n{rest}"
    )
    sees(
        ward, "its certificate ends on ", "sealed", severity="warning", fix="piku certs:add sealed"
    )
    give(90, "sealed.piku-doctor.dev")
    sees_no_more(ward, "its certificate", "sealed")
    app.does("config:set", "NGINX_SERVER_NAME=sealed.piku-doctor.dev,more.piku-doctor.dev")
    sees(ward, "its certificate is not for more.piku-doctor.dev", "sealed", severity="warning")
    give(90, "sealed.piku-doctor.dev", "more.piku-doctor.dev")
    sees_no_more(ward, "its certificate", "sealed")


def test_an_app_without_a_name(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("anon", {**patient("anon"), "ENV": ""}, on=ward)
    text = "it has no host name, so nginx does not serve it"
    sees(ward, text, "anon", severity="warning", fix="piku config:set anon NGINX_SERVER_NAME=HOST")
    sees_no_more(ward, text)  # among all apps that is nothing to warn of
    app.does("stop")
    mended(ward, sees(ward, "it is stopped", "anon", severity="warning"))
    sees_no_more(ward, "it is stopped", "anon")
    app.does("config:set", "NGINX_SERVER_NAME=anon.localhost")
    sees_no_more(ward, text, "anon")
