"""Settings: what is given is what the app sees, and nobody else."""

import contextlib
import json
import shlex
import stat
from collections.abc import Callable

from piku import dotenv
from tests.e2e.support import WORKER, App, refused, web, wsgi

KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQ+/ab==\nA=1\n-----END PRIVATE KEY-----\n"
ODD = {
    "SPACES": "  two  words",
    "QUOTES": """'single' "double" `back`""",
    "EQUALS": "a=b==c",
    "DOLLARS": "$HOME ${APP} $$ $(id) $1",
    "PERCENT": "%(x) %d 100%",
    "AT": "@(file) @/etc/passwd",
    "BACKSLASH": "\\n \\ \\\\",
    "UNICODE": "grün ☃",
    "HASH": "# no comment",
    "GLOB": "* ? [a]",
    "EMPTY": "",
    "TAB": "a\tb",
    "AFTER": "blanks \t ",
    "RETURNS": "one\r\ntwo\r",
    "LINES": KEY,
}
# The value of LINES, as a job and a worker see it.
KEEP = """printenv LINES >"$DATA_ROOT/KIND"\n"""


def test_values_are_literal(new_app: Callable[..., App]) -> None:
    app = new_app(
        "literal",
        {**web("literal", procfile="worker: exec python3 -IS worker.py\n"), "worker.py": WORKER},
    )
    result = app.asked("config:set", *(f"{key}={value}" for key, value in ODD.items()))
    assert result.returncode == 0, result.stderr
    lines = app.asked("config").stdout
    for line in ("EQUALS=a=b==c\n", "DOLLARS='$HOME ${APP} $$ $(id) $1'\n", f"LINES='{KEY}'\n"):
        assert line in lines
    assert json.loads(app.does("config", "--json")) == dotenv.parse(lines, "config") == ODD
    assert "Nothing to change" in app.server.ssh("config:set literal -", input=lines).stdout
    live = dotenv.parse(app.does("config:live"), "LIVE_ENV")
    seen = app.about()["env"]

    def seen_by_the_worker() -> dict[str, str] | None:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):  # it is being written
            found: dict[str, str] = json.loads((app.data / "worker.json").read_text())
            return found if "EQUALS" in found else None  # or it is that of the release before
        return None

    worker = app.server.wait(seen_by_the_worker)
    assert worker is not None
    for key, value in ODD.items():
        # What a program prints is read here with the line ends of any system.
        got = app.does("config:get", key)
        assert got == f"{value}\n" or (key, got) == ("RETURNS", "one\ntwo\n")
        assert live[key] == value
        assert seen[key] == worker[key] == value
    assert app.does("run", "printenv DOLLARS") == f"{ODD['DOLLARS']}\n"
    assert app.asked("config:get", "QUOTES").stdout == f"{ODD['QUOTES']}\n"

    # Every process of a release agrees on all that is not its own.
    printed = app.asked(
        "run", "python3 -IS -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    ).stdout
    ran = json.loads(printed)
    own = {"PORT", "PIKU_PROCESS", "SHLVL", "_", "OLDPWD", "TERM"}
    own |= {"UWSGI_RELOADS", "UWSGI_ORIGINAL_PROC_NAME"}

    def shared(variables: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in variables.items() if name not in own}

    assert shared(ran) == shared(seen) == shared(worker)
    for name in (
        "APP",
        "HOME",
        "USER",
        "PATH",
        "PWD",
        "LOG_ROOT",
        "DATA_ROOT",
        "BIND_ADDRESS",
        "PIKU_RELEASE",
    ):
        assert seen[name]
    assert seen["PIKU_COMMIT"] == app.releases()[0]["commit"]
    assert (seen["DATA_ROOT"], seen["PORT"].isdigit()) == (str(app.data), True)
    assert not [name for name in seen if name.startswith(("SSH_", "GIT_", "PIKU_TEST_SERVER"))]

    app.does("config:unset", "SPACES", "TAB")
    assert "SPACES" not in app.about()["env"]
    refused(app.says("config:get", "SPACES"), 1, "no setting 'SPACES'")
    refused(app.says("config:unset", "SPACES"), 1, "'SPACES'")


def test_settings_before_the_first_push(new_app: Callable[..., App]) -> None:
    app = new_app("early", web("early"), push=False)
    app.does("config:set", "COLOR=red", "SIZE=big")
    app.does("config:unset", "SIZE")
    assert app.does("config") == "COLOR=red\n"
    assert "  early" in app.server.piku("apps").stdout.splitlines()
    said = app.deployed()
    assert "-----> early is a new app" in said
    assert app.about()["env"]["COLOR"] == "red"


def test_wsgi_sees_the_same(new_app: Callable[..., App]) -> None:
    text = "BASE=base\nDERIVED=${BASE}-x\nexport LITERAL='$BASE' # as it is\n"
    own = dotenv.render({key: value for key, value in ODD.items() if key != "AFTER"})
    procfile = "release: " + KEEP.replace("KIND", "release")
    files = wsgi("wsgienv", env=text + own, procfile=procfile)
    app = new_app("wsgienv", files, push=False)
    # As the editors of Windows write them.
    for name in ("ENV", "Procfile"):
        file = app.repository / name
        file.write_bytes(file.read_text().replace("\n", "\r\n").encode("utf-16"))
    app.commit()
    app.deployed()
    app.does("config:set", f"AFTER={ODD['AFTER']}")
    seen = app.about()["env"]
    assert {key: seen[key] for key in ODD} == ODD
    assert (seen["DERIVED"], seen["LITERAL"]) == ("base-x", "$BASE")
    assert (app.data / "release").read_text() == f"{KEY}\n"
    assert app.does("run", "printenv LINES") == f"{KEY}\n"
    ran = app.does("run", "env")
    for name in ("APP", "PATH", "PWD", "DATA_ROOT", "PIKU_COMMIT", "DERIVED"):
        assert f"{name}={seen[name]}\n" in ran


def test_what_cannot_be_stored_is_refused(new_app: Callable[..., App]) -> None:
    app = new_app("strict")
    before = app.releases()
    for pair, words in (
        ("A=@(one) ", "uWSGI cannot hand it on"),
        ("A B=x", "not a setting's name"),
        ("PATH=/tmp", "PATH"),
        ("PIKU_RELEASE=7", "PIKU_RELEASE"),
        ("LD_PRELOAD=/tmp/x.so", "LD_PRELOAD"),
        ("PORT=http", "PORT"),
        ("PORT=80", "PORT"),
        ("NGINX_SERVER_NAME=not a host!", "NGINX_SERVER_NAME"),
        ("PIKU_DEPLOY_STRATGY=recreate", "did you mean PIKU_DEPLOY_STRATEGY?"),
        ("PIKU_HEALTHCHECK_PATH=health", "PIKU_HEALTHCHECK_PATH"),
        ("NGINX_INCLUDE_FILE=../../etc/passwd", "NGINX_INCLUDE_FILE"),
    ):
        refused(app.says("config:set", "GOOD=1", pair), 1, words)
    said = refused(app.says("config:set", "GOOD=1", "sk_live"), 2, "argument 2", "KEY=VALUE")
    assert "sk_live" not in said
    refused(app.says("config:set"), 2)
    said = refused(app.asked("config:set", "-", input=f"GOOD=1\nKEY={KEY}"), 1, "line 3", "quotes")
    assert "MII" not in said
    assert app.releases() == before
    assert app.does("config") == ""
    assert app.body() == "one"


def test_secrets_stay_secret(new_app: Callable[..., App]) -> None:
    files = web("secrets", procfile='release: echo "the token is $API_TOKEN, at $DATABASE_URL"\n')
    app = new_app("secrets", files)
    result = app.asked(
        "config:set", "API_TOKEN=tok-123456", "DATABASE_URL=pg://me:hunter22@db/x", "PLAIN=visible"
    )
    said = result.stdout + result.stderr
    app.commit(version_txt="two")
    said += "\n".join(app.deployed())
    app.commit(Procfile="web: exec python3 -IS server.py\nrelease: echo $API_TOKEN >&2; exit 1\n")
    said += "\n".join(app.failed())
    said += app.does("ps") + app.does("releases") + app.does("releases", "--json")
    said += app.does("logs", "build", "-n", "500", "--no-follow")
    said += refused(app.says("config:set", "PORT=x", "API_TOKEN=tok-654321"), 1)
    app.commit(ENV="A=1\nSIGNING_KEY=-----BEGIN\ntok-654321==\n")
    wrong = "\n".join(app.failed())
    assert "ENV line 3 is not of the form NAME=value" in wrong
    said += wrong
    assert "the token is ********" in said
    for secret in ("tok-123456", "hunter22", "tok-654321"):
        assert secret not in said
    # Who asks for it is told.
    assert app.does("config:get", "API_TOKEN") == "tok-123456\n"
    assert app.about()["env"]["API_TOKEN"] == "tok-123456"

    # On disk nobody else can read it, wherever it is.
    kept = [
        path
        for path in app.server.root.rglob("*")
        if path.is_file() and not path.is_symlink() and b"tok-123456" in path.read_bytes()
    ]
    assert len(kept) >= 4
    assert {str(path): oct(stat.S_IMODE(path.stat().st_mode)) for path in kept} == {
        str(path): "0o600" for path in kept
    }


def test_no_restart_defers(new_app: Callable[..., App]) -> None:
    app = new_app(
        "deferred", web("deferred", procfile="preflight: echo built >>$DATA_ROOT/built\n")
    )
    pid = app.about()["pid"]
    said = app.does("config:set", "--no-restart", "COLOR=red")
    assert "piku restart deferred" in said
    assert app.about()["pid"] == pid
    assert app.does("config:get", "COLOR") == "red\n"
    assert "COLOR" not in app.does("config:live")
    app.does("restart")
    assert app.about()["env"]["COLOR"] == "red"
    assert "COLOR=red" in app.does("config:live")
    said = app.does("config:unset", "COLOR")
    assert "COLOR" not in app.about()["env"]
    assert (app.data / "built").read_text() == "built\n"
    # What changes nothing is no release.
    before = len(app.releases())
    app.does("config:set", "SIZE=1")
    pid = app.about()["pid"]
    assert "Nothing to change" in app.does("config:set", "SIZE=1")
    assert (app.about()["pid"], len(app.releases())) == (pid, before + 1)


def test_settings_that_break_the_app_are_put_back(new_app: Callable[..., App]) -> None:
    app = new_app("putback")
    app.does("config:set", "COLOR=red")
    pid = app.about()["pid"]
    result = app.asked("config:set", "CRASH=now", "COLOR=blue")
    said = result.stdout + result.stderr
    assert result.returncode == 1
    for words in (
        "crashing because CRASH=now",
        "v3 failed at starting its processes",
        "still runs",
    ):
        assert words in said
    assert app.does("config") == "COLOR=red\n"
    assert app.about()["pid"] == pid
    # So the next push has nothing of it.
    app.commit(version_txt="two")
    app.deployed()
    assert (app.about()["version"], app.about()["env"]["COLOR"]) == ("two", "red")


def test_the_server_has_settings_for_all(new_app: Callable[..., App]) -> None:
    app = new_app("layered", web("layered", env="OWN=$SHARED/own\n"), push=False)
    file = app.server.root / "ENV"
    before = file.read_text()
    try:
        file.write_text(f"{before}SHARED=everywhere\n")
        app.deployed()
    finally:
        file.write_text(before)
    seen = app.about()["env"]
    assert (seen["SHARED"], seen["OWN"]) == ("everywhere", "everywhere/own")
    assert app.server.ssh(shlex.join(["config:get", "layered", "OWN"])).returncode == 0
