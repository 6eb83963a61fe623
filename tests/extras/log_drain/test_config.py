"""What PIKU_LOG_DRAIN means, and that rsyslogd accepts the configuration made of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from piku import files
from piku.extras.log_drain import config, settings, vassals
from piku.extras.log_drain.settings import Drain
from piku.paths import AppName, AppPaths, Paths


def test_receivers() -> None:
    assert settings.receivers("") == ()
    assert settings.receivers("syslog://h, SYSLOG+TCP://[::1]:5140/,syslog://h:514") == (
        Drain(scheme="syslog", host="h", port=514),
        Drain(scheme="syslog+tcp", host="::1", port=5140),
    )
    assert settings.receivers("syslog+tls://h.example")[0].port == 6514


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://ann:pw@h/x", "a drain over HTTP is not supported: use syslog"),
        ("http+json://h/x", "a drain over HTTP is not supported"),
        ("ftp://h", "not one of syslog://, syslog"),
        ("h:514", "not one of syslog://"),
        ("syslog://h:5140/x", "only HOST:PORT may follow syslog://"),
        ("syslog://ann@h", "only HOST:PORT may follow syslog://"),
        ("syslog://:5140", "it has no host"),
        ("syslog://h:port", "its host or port is invalid"),
        ('syslog://h"x', "its host or port is invalid"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        settings.receivers(text)


def test_rsyslogd_accepts_it(tmp_path: Path) -> None:
    app = AppPaths(root=tmp_path / "a $folder's", name=AppName("shop"))
    app.releases.mkdir(parents=True)
    drains = settings.receivers("syslog://h,syslog+tcp://h,syslog+tls://h.example")
    place = tmp_path / "rsyslogd.conf"
    place.write_text(config.render(app, drains, str(app.releases), "/etc/ssl/ca.pem", "gtls"))
    command = ["/usr/sbin/rsyslogd", "-N1", "-f", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr and "warning" not in done.stderr.lower()


def test_of_several_one_that_is_down_holds_up_no_other() -> None:
    app = AppPaths(root=Path("/root"), name=AppName("shop"))
    for text, held_up in (("syslog+tcp://a", True), ("syslog+tcp://a,syslog+tcp://b", False)):
        made = config.render(app, settings.receivers(text), "/state", "/ca.pem", "gtls")
        assert ('queue.timeoutEnqueue="0"' in made) != held_up


def test_which_apps_have_a_rsyslogd(paths: Paths, shop: AppPaths) -> None:
    shop.repo.mkdir()
    files.write(shop.live_env, "PIKU_LOG_DRAIN=syslog://127.0.0.1:5140\n")
    assert vassals.vassals(paths, ()) == {}, "its live code is gone: it is being destroyed"
    shop.live_link.parent.mkdir(exist_ok=True)
    shop.live_link.symlink_to(paths.root)
    [(name, text)] = vassals.vassals(paths, ()).items()
    files.write(paths.enabled / name, text)
    shop.live_env.chmod(0)
    assert vassals.vassals(paths, ()) == {name: text}, "nobody knows whether it still wants one"
