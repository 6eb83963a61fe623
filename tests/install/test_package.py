"""The package on a machine where somebody runs a web server already; and where it gets newer ones
from."""

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.install import packages as made
from tests.install.box import Box
from tests.install.support import SERVER, Laptop, Load, wait

pytestmark = pytest.mark.timeout(240)
APT = "DEBIAN_FRONTEND=noninteractive apt-get -q --yes --no-install-recommends"


def test_another_web_server_is_left_alone(
    box: Box, laptop: Laptop, packages: tuple[Path, Path]
) -> None:
    box.sh(f"{APT} install nginx")
    (box.root / "etc/nginx/conf.d/mine.conf").write_text(
        "server { listen 80; listen [::]:80; server_name mine.example.com; return 200 mine; }\n"
    )
    box.run("systemctl", "reload", "nginx")
    box.put(packages[0], packages[0].name)
    said = box.sh(f"{APT} install ./{packages[0].name}").stdout
    assert "Stopping the distribution's own" not in said
    assert "Piku's web server cannot start: nginx (port 80) is in its way" in said
    assert "PIKU_HTTP_PORT" in said
    assert "Now let a first key in" in said
    assert "| piku setup:ssh - --name laptop" in said
    assert laptop.get("mine.example.com") == (200, "mine")
    status = box.run("systemctl", "status", "--no-pager", "piku-nginx", check=False).stdout
    assert "cannot listen on 0.0.0.0:80" in box.run("journalctl", "-u", "piku-nginx").stdout, status
    assert box.run("systemctl", "is-active", "piku-emperor").stdout == "active\n"


def test_it_listens_elsewhere_beside_it(box: Box, laptop: Laptop) -> None:
    box.sh(
        "sed -i -e 's/^#PIKU_HTTP_PORT=.*/PIKU_HTTP_PORT=8080/'"
        " -e 's/^#PIKU_HTTPS_PORT=.*/PIKU_HTTPS_PORT=8443/' /etc/default/piku"
    )
    box.run("systemctl", "restart", "piku-nginx")
    (box.root / "root/first.pub").write_text(laptop.key)
    assert "may push now" in box.sh("piku setup:ssh - --name laptop <first.pub").stdout
    audit = box.run("piku", "audit").stdout
    assert " root " in audit and audit.endswith(" ok\n"), audit
    folder = laptop.home / "api"
    folder.mkdir()
    (folder / "Procfile").write_text("web: exec python3 -m http.server $PORT --bind 127.0.0.1\n")
    (folder / "index.html").write_text("an api\n")
    (folder / "ENV").write_text("NGINX_SERVER_NAME=api.example.com\n")
    laptop.does("git init --quiet && git add -A && git commit --quiet -m 'First version'", "api")
    laptop.does(f"git push piku@{SERVER}:api main", "api")
    assert laptop.get("api.example.com", port=8080) == (200, "an api\n")
    for line in ("piku run api id -un", "PIKU_ROOT=/var/lib/piku/.piku piku run api id -un"):
        assert box.sh(f"{line} </dev/null").stdout == "piku\n"
    assert laptop.get("mine.example.com") == (200, "mine")


def test_it_takes_the_ports_when_they_are_free(box: Box, laptop: Laptop) -> None:
    box.sh(
        "sed -i 's/^PIKU_HTTP/#PIKU_HTTP/' /etc/default/piku; systemctl restart piku-nginx",
        check=False,
    )
    box.run("systemctl", "disable", "--now", "nginx")
    wait(
        lambda: laptop.get("api.example.com") == (200, "an api\n"),
        "piku's nginx has started by itself",
    )


def release(box: Box, package: Path, *, sum_of: bytes | None = None) -> None:
    """Put a package where the machine is told to look for new ones."""
    place = box.root / "srv/piku_latest_all.deb"
    shutil.copyfile(package, place)
    digest = hashlib.sha256(place.read_bytes() if sum_of is None else sum_of).hexdigest()
    place.with_name(f"{place.name}.sha256").write_text(f"{digest}  {place.name}\n")


def refused(box: Box, text: str) -> str:
    """See that an update fails and says so; what it says."""
    said = box.run("piku", "update", check=False)
    assert said.returncode == 1, said.stdout
    assert text in said.stdout, said.stdout
    return said.stdout


def is_here(box: Box, version: str) -> None:
    """All of that version, the settings of the person, and the apps."""
    shown = box.run("dpkg-query", "-W", "-f", "${Version} ${Status}", "piku").stdout
    assert shown == f"{version} install ok installed"
    assert box.run("piku", "--version").stdout == f"piku {version}\n"
    assert "PIKU_RELEASE_URL=file" in (box.root / "etc/default/piku").read_text()
    assert box.run("piku", "apps").stdout == "* api\n"


def test_update_refuses_what_it_cannot_trust(box: Box, packages: tuple[Path, Path]) -> None:
    refused(box, "has no PIKU_RELEASE_URL")
    box.sh("echo PIKU_RELEASE_URL=file:///srv/piku_latest_all.deb >>/etc/default/piku")
    release(box, packages[1], sum_of=b"something else")
    refused(box, "does not match file:///srv/piku_latest_all.deb.sha256")
    is_here(box, "0.1.0")


def test_an_update_goes_back(
    box: Box, laptop: Laptop, packages: tuple[Path, Path], tmp_path: Path
) -> None:
    """Also when only the installed version finds that it does not work."""
    shutil.copyfile(packages[0], box.root / "var/cache/piku/piku_0.1.0_all.deb")  # as install.sh
    spoilt = "\nif __file__.startswith('/usr/share/'):\n    raise RuntimeError('spoilt')\n"
    release(box, made.build(tmp_path, "98.0", appended={
        "src/piku/extras/doctor/checks.py": spoilt, "debian/piku.default": "#PIKU_SPOILT=\n",
    }))  # fmt: skip
    with Load(laptop, "api.example.com") as load:
        said = refused(box, "98.0 does not work here: went back to 0.1.0")
        wait(lambda: load.outcomes.total() > 200, "some load")
    assert "piku itself failed here" in said
    assert set(load.outcomes) == {"200"}, load.outcomes
    is_here(box, "0.1.0")


def test_update_of_the_package(box: Box, laptop: Laptop, packages: tuple[Path, Path]) -> None:
    before = (box.root / "etc/default/piku").read_text()
    release(box, packages[1])
    with Load(laptop, "api.example.com") as load:
        said = box.run("piku", "update").stdout
        wait(lambda: load.outcomes.total() > 200, "some load")
    assert "piku was 0.1.0 and is now 99.0" in said
    assert set(load.outcomes) == {"200"}, load.outcomes
    is_here(box, "99.0")
    assert (box.root / "etc/default/piku").read_text() == before
    assert "99.0 is the newest" in box.run("piku", "update").stdout
    release(box, packages[0])
    refused(box, "0.1.0 was not installed: piku is 99.0, as it was")  # apt installs no older one
    is_here(box, "99.0")


def test_a_package_that_does_not_work_is_not_installed(box: Box, tmp_path: Path) -> None:
    spoilt = {"src/piku/extras/doctor/checks.py": "raise RuntimeError('spoilt')\n"}
    release(box, made.build(tmp_path, "100.0", appended=spoilt))
    refused(box, "100.0 does not work here: it was not installed")
    is_here(box, "99.0")


def test_a_package_that_fails_to_be_set_up_is_taken_back(
    box: Box, laptop: Laptop, tmp_path: Path
) -> None:
    middle = made.build(tmp_path, "99.1")
    box.put(middle, middle.name)
    box.sh(f"{APT} -o Dpkg::Options::=--force-confold install ./{middle.name}")
    shutil.copyfile(middle, box.root / "var/cache/piku/piku_99.1_all.deb")
    release(box, made.build(tmp_path, "100.1", appended={"debian/postinst": "\nexit 1\n"}))
    refused(box, "100.1 does not work here: went back to 99.1")
    is_here(box, "99.1")
    assert laptop.get("api.example.com") == (200, "an api\n")


def test_a_package_that_apt_does_not_take_changes_nothing(box: Box, tmp_path: Path) -> None:
    needs = "Pre-Depends: no-such-package\n"
    release(box, made.build(tmp_path, "100.2", appended={"debian/control": needs}))
    refused(box, "100.2 was not installed: piku is 99.1, as it was")
    is_here(box, "99.1")
