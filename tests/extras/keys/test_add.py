"""Keys with a role, and those of a class."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from piku.errors import PikuError
from piku.extras.keys import commands
from piku.extras.keys.add import keys_add
from piku.paths import Paths
from piku.ssh import keys
from tests.unit.conftest import paths
from tests.unit.ssh.test_keys import add, pairs, public

__all__ = ["pairs", "paths"]

Adds = Callable[..., str]


@pytest.fixture
def adds(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Adds:
    """`piku keys:add WORDS`, with this text as its standard input; what it says."""
    monkeypatch.delenv("PIKU_ROOT", raising=False)
    monkeypatch.delenv("PIKU_EXTRAS", raising=False)

    def call(*words: str, text: str = "") -> str:
        done: Result = CliRunner().invoke(
            keys_add, words, input=text, obj=paths, standalone_mode=False
        )
        if done.exception:
            raise done.exception
        return done.output

    return call


def entries(paths: Paths) -> list[str]:
    return keys.authorized_keys(paths).read_text().splitlines()


def test_the_line_of_a_key(adds: Adds, paths: Paths, pairs: list[Path]) -> None:
    limits = ["--role", "deploy", "--app", "shop-*", "--max-apps", "3", "--max-disk", "500M"]
    network = ["--from", "192.0.2.0/24,2001:db8::/32", "--expires", "30d"]
    said = adds("ci", "-", *limits, *network, text=public(pairs[0]))
    assert "Key 'ci' has the role deploy for shop-*: SHA256:" in said
    [entry] = entries(paths)
    found = re.match(
        r'from="192\.0\.2\.0/24,2001:db8::/32",expiry-time="(\d{14})Z",command="FINGERPRINT=\S+ '
        r"NAME=ci PIKU_ROLE=deploy PIKU_APPS='shop-\*' PIKU_MAX_APPS=3 PIKU_MAX_DISK=524288000 ",
        entry,
    )
    assert found, entry
    in_30_days = time.strftime("%Y%m%d", time.gmtime(time.time() + 30 * 86400))
    assert found[1][:8] == in_30_days
    [key] = commands.known(paths)
    until = f"{in_30_days[:4]}-{in_30_days[4:6]}-{in_30_days[6:]}"
    assert key.limits.startswith(
        f"deploy for shop-* from 192.0.2.0/24,2001:db8::/32 until {until} "
    ), key.limits
    assert key.limits.endswith(" UTC max-apps 3 max-disk 500M")


def test_the_role_is_deploy_unless_another_is_given(
    adds: Adds, paths: Paths, pairs: list[Path]
) -> None:
    adds("ann", str(pairs[0].with_suffix(".pub")))
    adds("bob", "--role", "admin", text=public(pairs[1]))
    assert [key.limits for key in commands.known(paths)] == ["deploy", "admin"]
    assert "PIKU_" not in entries(paths)[1], "as setup:ssh writes it"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x", "--app", "a b"], "not a pattern of names"),
        (["x", "--app", '*",no-pty,command="sh'], "not a pattern of names"),
        (["x", "--app", "[a-z]*"], "not a pattern of names"),
        (["x", "--from", "192.0.2.1/24"], "has host bits set"),
        (["x", "--from", '0.0.0.0/0",command="sh'], "does not appear to be an IPv4 or IPv6"),
        (["x", "--expires", "30"], "is not a length of time"),
        (["x", "--expires", "0d"], "is not a length of time"),
        (["x", "--max-disk", "lots"], "is not a size"),
        (["x", "--role", "admin", "--app", "shop"], "a key of the role admin is for everything"),
        (["x", "--role", "admin", "--max-apps", "1"], "a key of the role admin is for everything"),
        ([], "give a name and a key, or --csv FILE"),
        (["x", "-", "--csv", "-"], "give a name and a key, or --csv FILE"),
        (["--app", "y", "--csv", "-"], "give a name and a key, or --csv FILE"),
    ],
)
def test_what_is_refused(
    adds: Adds, paths: Paths, pairs: list[Path], words: list[str], message: str
) -> None:
    with pytest.raises(PikuError, match=re.escape(message)):
        adds(*words, text=public(pairs[0]))
    assert not keys.authorized_keys(paths).exists()


def test_apps_that_are_here_already_are_named(adds: Adds, paths: Paths, pairs: list[Path]) -> None:
    """Whoever is called like an app that somebody else has would otherwise get it unseen."""
    for name in ("ann-shop", "annex"):
        (paths.root / "repos" / name).mkdir()
    said = adds("ann", "--app", "ann-*", text=public(pairs[0]))
    assert said.splitlines()[-1].endswith("apps here, these match: ann-shop")


def test_the_last_administrator_stays(adds: Adds, paths: Paths, pairs: list[Path]) -> None:
    add(paths, public(pairs[0]), "ann")
    adds("bob", text=public(pairs[1]))
    with pytest.raises(PikuError, match="this is the only key of an administrator"):
        commands.remove(paths, "ann")
    commands.remove(paths, "bob")


# --- a class -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table", ["{ann},{a}\n{bob},{b}\n", "name;key\r\n{ann};{a}\r\n\r\n{bob};{b};shop\r\n", "\ufeffname,key\n{ann},\"{a}\",\n{bob},{b}"],
    ids=["commas", "a spreadsheet", "quotes"],
)  # fmt: skip
def test_a_class(adds: Adds, paths: Paths, pairs: list[Path], table: str) -> None:
    ann, bob = (public(pair).strip() for pair in pairs)
    text = table.format(ann="ann", bob="bob", a=ann, b=bob)
    said = adds("--csv", "-", "--max-apps", "2", text=text)
    assert said.count(" has the role deploy for ") == 2
    limits = [key.limits for key in commands.known(paths)]
    other = "shop" if "shop" in table else "bob-*"
    assert limits == ["deploy for ann-* max-apps 2", f"deploy for {other} max-apps 2"]
    before = entries(paths)
    assert adds("--csv", "-", text=text).count("is here already") == 2
    assert entries(paths) == before


def test_a_line_that_is_wrong(adds: Adds, paths: Paths, pairs: list[Path]) -> None:
    ann, bob = (public(pair).strip() for pair in pairs)
    with pytest.raises(PikuError, match=r"line 2 \(bob\): ssh-keygen does not accept") as error:
        adds("--csv", "-", text=f"ann,{ann}\nbob,{bob[:40]}\n")
    assert "the lines before it are added, and skipped the next time" in error.value.hint
    adds("--csv", "-", text=f"ann,{ann}\nbob,{bob}\n")
    assert [key.name for key in commands.known(paths)] == ["ann", "bob"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ann\n", "line 1 has not two or three columns"),
        ("ann,KEY\nbob,KEY,b*,x\n", "line 2 has not two or three columns"),
        ("ann,KEY\n,KEY\n", "line 2 has not two or three columns"),
        ("ann m,KEY\n", "line 1: no app can be called 'ann m-*'"),
        ("ann,KEY\nann-marie,KEY\n", "the apps of 'ann-marie' would also be those of 'ann'"),
        ("ann-marie,KEY\nann,KEY\n", "the apps of 'ann-marie' would also be those of 'ann'"),
    ],
)
def test_a_table_that_is_wrong_adds_nothing(
    adds: Adds, paths: Paths, pairs: list[Path], text: str, message: str
) -> None:
    with pytest.raises(PikuError, match=re.escape(message)) as error:
        adds("--csv", "-", text=text.replace("KEY", public(pairs[0]).strip()))
    assert "nothing was added" in error.value.hint
    assert not keys.authorized_keys(paths).exists()


def test_a_pupil_of_another_class(adds: Adds, paths: Paths, pairs: list[Path]) -> None:
    adds("--csv", "-", text=f"ann,{public(pairs[0])}")
    with pytest.raises(PikuError, match="the apps of 'ann-marie' would also be those of 'ann'"):
        adds("--csv", "-", text=f"ann-marie,{public(pairs[1])}")
