"""What pip, uv and Poetry say when a requirement needs another Python, in one sentence."""

from piku.extras.versions.explain import needed

PIP = """\
ERROR: Ignored the following versions that require a different python version: 5.2 Requires-Python \
>=3.10,<4; 6.0 Requires-Python >=3.12; 6.0.1 Requires-Python >=3.12
ERROR: Could not find a version that satisfies the requirement {0} (from versions: 1.1.3, 5.2.19)
ERROR: No matching distribution found for {0}"""


def test_pip() -> None:
    assert needed(PIP.format("Django==6.0.1")) == ("Django==6.0.1", ">=3.12")
    assert needed(PIP.format("Django[argon2]>=6,<7")) == ("Django>=6,<7", ">=3.12")
    # pip lists what it ignored for a version that there never was, too.
    assert needed(PIP.format("Django==99")) is None
    assert needed("ERROR: No matching distribution found for nothing==1") is None


def test_uv() -> None:
    said = (
        "  × No solution found when resolving dependencies:\n  ╰─▶ Because the current Python version"
        " (3.11.2) does not satisfy\n      Python>=3.12 and django==6.0 depends on Python>=3.12, we"
    )
    text = said.replace("╰─▶", "").replace("×", "")
    assert needed(text) == ("django==6.0", ">=3.12")


def test_poetry() -> None:
    said = "  - django requires Python >=3.12, so it will not be satisfied for Python >=3.11,<3.12"
    assert needed(said) == ("django", ">=3.12")
