"""Whether more processes fit into memory."""

from __future__ import annotations

import pytest

from piku import files
from piku.deploy import memory_check
from piku.deploy.releases import Activation
from piku.errors import PikuError
from piku.paths import AppPaths, Paths

MB = 2**20
FREE = 1000 * MB + memory_check.RESERVE


def refusal(
    more: dict[str, int], takes: dict[str, int], wanted: dict[str, int] | None = None
) -> str:
    """What the refusal says; nothing when there is none."""
    try:
        memory_check.decide("shop", more, takes, FREE, wanted or more)
    except PikuError as error:
        return f"{error.message}\n{error.hint}"
    return ""


@pytest.mark.parametrize(
    ("more", "takes"),
    [
        ({"web": 10}, {"web": 100 * MB}),  # exactly what there is
        ({"web": 5, "worker": 5}, {"web": 100 * MB, "worker": 100 * MB}),
        ({"worker": 10}, {"web": 100 * MB}),  # none runs: what the others take is the measure
        ({"worker": 1000 * MB // memory_check.ASSUMED}, {}),  # nothing was ever measured
        ({}, {"web": 5000 * MB}),
    ],
)
def test_what_fits_is_not_refused(more: dict[str, int], takes: dict[str, int]) -> None:
    assert refusal(more, takes) == ""


def test_a_refusal_has_the_figures() -> None:
    assert refusal({"web": 11}, {"web": 100 * MB}, {"web": 13}) == (
        "shop would need 1100 MB more memory (11 more web of 100 MB each), and 1000 MB can be given away\n"
        "there is room for web=12; go ahead all the same with --force"
    )
    said = refusal({"web": 5, "worker": 6}, {"web": 100 * MB})
    assert "5 more web of 100 MB each, 6 more worker of 100 MB each" in said
    assert "room for" not in said and "--force" in said


def test_a_guess_is_called_one() -> None:
    said = refusal({"web": 100}, {})
    assert "100 more web of 20 MB each, which is a guess" in said and "room for web=50;" in said
    assert "guess" not in refusal({"web": 100}, {"web": 20 * MB})


def test_what_was_measured_is_kept(paths: Paths, shop: AppPaths) -> None:
    stopped = Activation(number=3, release=1, checkout="c", stopped=True)
    assert memory_check.measure(paths, shop, stopped) == {}
    for text, found in (('{"web": 7, "x": "y"}', {"web": 7}), ("{", {}), ("[]", {})):
        files.write(shop.releases / "memory", text)
        assert memory_check.measure(paths, shop, stopped) == found
    files.write(shop.releases / "memory", f'{{"web": {2**50}}}')
    with pytest.raises(PikuError, match="2 more web"):
        memory_check.refuse_too_many(paths, shop, stopped, {"web": 2})


def test_nothing_is_left_to_give_away() -> None:
    with pytest.raises(PikuError, match="and 0 MB can be given away") as caught:
        memory_check.decide("shop", {"web": 1}, {"web": MB}, memory_check.RESERVE // 2, {"web": 3})
    assert "room for web=2" in caught.value.hint
