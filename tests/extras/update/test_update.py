"""What an update reads, and when it goes back. Updates themselves are tested in tests/install."""

from __future__ import annotations

import json

import pytest

from piku.extras.update import package, selfcheck


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("#PIKU_RELEASE_URL=https://example.com/a.deb\n", ""),
        ("PIKU_RELEASE_URL=https://example.com/a.deb\n", "https://example.com/a.deb"),
        ("PIKU_RELEASE_URL=file:///old\nPIKU_RELEASE_URL='file:///new' \n", "file:///new"),
    ],
)
def test_the_address_of_releases(text: str, expected: str) -> None:
    assert package.release_url(text) == expected


def answer(*problems: tuple[str, str]) -> str:
    findings = [{"check": check, "what": what, "severity": "problem"} for check, what in problems]
    fine = {"check": "programs", "what": "git 2.39", "severity": "ok"}
    return json.dumps({"problems": len(problems), "findings": [fine, *findings]})


PORT = ("ports", "nginx has not got port 80: apache2 holds it")
BROKEN = ("configuration", "nginx refuses the configuration")


@pytest.mark.parametrize(
    ("before", "after", "faults"),
    [
        (answer(), answer(), ()),
        (answer(), answer(BROKEN), (BROKEN[1],)),
        (answer(PORT), answer(PORT), ()),
        (answer(PORT), answer(("ports", "said in another way")), ()),
        (answer(PORT), answer(), ()),
        # A server with a problem of its own still notices a new one.
        (answer(PORT), answer(PORT, BROKEN), (BROKEN[1],)),
        (answer(PORT), "Traceback …\nRuntimeError: spoilt\n", ("RuntimeError: spoilt",)),
        ("not an answer", answer(), ()),
        ("not an answer", answer(PORT), (PORT[1],)),
        (answer(), "", ("it does not start",)),
    ],
)  # fmt: skip
def test_a_new_problem_means_back(before: str, after: str, faults: tuple[str, ...]) -> None:
    assert selfcheck.new_faults(before, after) == faults
