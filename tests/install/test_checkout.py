"""A bare checkout on a fresh machine: the demo, then install.sh, then updates, also such as do not
work."""

import subprocess
from pathlib import Path

import deb
import pytest

from tests.install.box import Box
from tests.install.support import SERVER, Laptop, Load, wait

pytestmark = pytest.mark.timeout(240)


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "safe.directory=*"]
    done = subprocess.run(
        ["git", *who, "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def upstream(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where piku's source comes from: a work tree that is pushed to /srv/piku.git of the machine."""
    folder = tmp_path_factory.mktemp("upstream")
    deb.copy(folder)
    git(folder, "init", "--quiet", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "A version")
    git(folder, "clone", "--quiet", "--bare", str(folder), str(box.root / "srv/piku.git"))
    git(folder, "remote", "add", "origin", str(box.root / "srv/piku.git"))
    return folder


def publish(upstream: Path, files: dict[str, str]) -> str:
    """A new version in which these files say this; returns its commit."""
    for file, text in files.items():
        (upstream / file).write_text(text)
    git(upstream, "add", "-A")
    git(upstream, "commit", "--quiet", "-m", "Another version")
    git(upstream, "push", "--quiet", "origin", "main")
    return git(upstream, "rev-parse", "HEAD")


def test_the_demo_runs_from_a_bare_checkout(box: Box, upstream: Path) -> None:
    box.sh(
        "DEBIAN_FRONTEND=noninteractive apt-get install -q --yes --no-install-recommends git make"
    )
    box.sh("git clone --quiet /srv/piku.git piku")
    said = box.sh("cd piku && make demo ARGS=--once").stdout
    assert "0 failed" in said
    assert "Traceback" not in said
    assert box.run("systemctl", "is-active", "nginx", check=False).stdout != "active\n"
    assert box.sh("ls -d /tmp/piku-*", check=False).stdout.startswith("ls: ")


def test_install_sh_makes_a_server(box: Box, laptop: Laptop, upstream: Path) -> None:
    """From a root shell in a checkout of somebody else's, who has a server elsewhere."""
    (box.root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    laptop.does(r"ssh-keygen -q -t ed25519 -N '' -C 'corp\nina@LAPTOP' -f second")
    second = (laptop.home / "second.pub").read_text()
    keys = f"{laptop.key}{second}ssh-ed25519 AAAAC3 no-key\n"
    (box.root / "root/.ssh/authorized_keys").write_text(keys)
    box.sh("git -C piku remote add piku piku@elsewhere.example.com:site && chown -R games: piku")
    said = box.sh("cd piku && ./install.sh").stdout
    assert "These keys may push" in said
    assert r"corp\nina@LAPTOP" in said
    home = box.sh("echo ~").stdout.strip()
    assert f"the key in {home}/.ssh/authorized_keys, line 3 may not push:" in said
    assert "ssh-keygen does not accept this key" in said
    assert "Traceback" not in said
    assert box.sh("find piku ! -user games").stdout == ""
    assert box.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "lego").stdout == "installed"
    for unit in ("piku-nginx", "piku-emperor"):
        assert box.run("systemctl", "is-active", unit).stdout == "active\n"
    folder = laptop.home / "site"
    (folder / "public").mkdir(parents=True)
    (folder / "public/index.html").write_text("a site\n")
    (folder / "Procfile").write_text("static: public\n")
    (folder / "ENV").write_text("NGINX_SERVER_NAME=site.example.com\n")
    laptop.does("git init --quiet && git add -A && git commit --quiet -m 'First version'", "site")
    laptop.does(f"git push piku@{SERVER}:site main", "site")
    assert laptop.get("site.example.com") == (200, "a site\n")
    again = box.sh("./piku/install.sh").stdout
    assert "bringing it up to date" in again
    assert "may not push" not in again, "keys are let in once: one that was removed stays away"
    box.sh("cp -r /srv/piku.git /srv/other.git")
    failed = box.sh("./piku/install.sh file:///srv/other.git no-such-tag", check=False)
    assert (failed.returncode, "does not lead to that version" in failed.stdout) == (1, True), (
        failed.stdout
    )
    assert (
        box.run("git", "-C", "/opt/piku", "remote", "get-url", "origin").stdout == "/srv/piku.git\n"
    )
    assert laptop.get("site.example.com") == (200, "a site\n")
    assert box.sh("find /var/lib/piku ! -user piku; find /opt/piku ! -user root").stdout == ""


def test_update_brings_what_follows(box: Box, laptop: Laptop, upstream: Path) -> None:
    newest = box.run("piku", "update").stdout
    assert "is the newest" in newest
    init = "src/piku/__init__.py"
    control, unit = "debian/control", "contrib/systemd/piku-emperor.service"
    sudo = ("Depends: adduser,", "Depends: adduser, sudo,")
    wanted = publish(upstream, {
        init: (upstream / init).read_text().replace("0.1.0", "0.1.1"),
        control: (upstream / control).read_text().replace(*sudo),
        unit: (upstream / unit).read_text().replace("[Service]", "[Service]\nEnvironment=OF=good"),
    })  # fmt: skip
    refused = laptop.says(f"ssh piku@{SERVER} update")
    assert refused.returncode == 1
    assert "sudo piku update" in refused.stdout
    with Load(laptop, "site.example.com") as load:
        said = box.run("piku", "update").stdout
        wait(lambda: load.outcomes.total() > 200, "some load")
    assert f"and is now {wanted[:8]}" in said
    assert set(load.outcomes) == {"200"}, load.outcomes
    assert box.run("piku", "--version").stdout == "piku 0.1.1\n"
    assert box.sh("find /var/lib/piku ! -user piku").stdout == ""
    assert environment(box) == "OF=good\n"
    assert box.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "sudo").stdout == "installed"


def test_one_can_be_the_user_piku(box: Box) -> None:
    """As docs/install.md says."""
    for line in ("sudo -iu piku", "su - piku"):
        said = box.sh(f"echo 'echo $(id -un) in $PWD; piku apps' | {line}").stdout
        assert said.endswith("piku in /var/lib/piku\n* site\n")


def environment(box: Box) -> str:
    """What the service sets, as systemd knows it now."""
    return box.run("systemctl", "show", "-p", "Environment", "--value", "piku-emperor").stdout


def test_update_goes_back_by_itself(box: Box, laptop: Laptop, upstream: Path) -> None:
    good = box.run("git", "-C", "/opt/piku", "rev-parse", "HEAD").stdout
    entry, unit = "src/piku/cli/__init__.py", "contrib/systemd/piku-emperor.service"
    control = "debian/control"
    before = {name: (upstream / name).read_text() for name in (entry, unit, control)}
    broken = before[entry] + "\nraise RuntimeError('broken')\n"
    publish(upstream, {entry: broken, unit: before[unit].replace("OF=good", "OF=broken")})
    failed = box.run("piku", "update", check=False)
    assert failed.returncode == 1, failed.stdout
    assert "does not work here: went back to" in failed.stdout
    assert "RuntimeError: broken" in failed.stdout
    assert box.run("git", "-C", "/opt/piku", "rev-parse", "HEAD").stdout == good
    assert box.run("piku", "apps").stdout == "* site\n"
    assert environment(box) == "OF=good\n"

    publish(upstream, {**before, control: before[control].replace("sudo,", "no-such-package,")})
    failed = box.run("piku", "update", check=False)
    assert failed.returncode == 1, failed.stdout
    assert "does not work here: went back to" in failed.stdout
    assert "no-such-package" in failed.stdout
    assert box.run("git", "-C", "/opt/piku", "rev-parse", "HEAD").stdout == good
    publish(upstream, before)
    assert "and is now" in box.run("piku", "update").stdout


def test_update_refuses_what_it_cannot_judge(box: Box, upstream: Path) -> None:
    diverge = "reset -q --hard HEAD~1 && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x"
    for line, expected in (
        ("piku update --to no-such-tag", "couldn't find remote ref no-such-tag"),
        ("cd /opt/piku && echo >>README.md && piku update", "were changed by hand"),
        (f"cd /opt/piku && git {diverge} && piku update", "Not possible to fast-forward"),
        ("git -C /opt/piku remote set-url origin /nowhere && piku update", "'/nowhere'"),
    ):
        refused = box.sh(line, check=False)
        assert refused.returncode == 1, refused.stdout
        assert expected in refused.stdout
        assert "Traceback" not in refused.stdout
