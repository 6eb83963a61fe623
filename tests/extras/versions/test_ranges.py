"""Ranges of versions, as each tool means them."""

import pytest

from piku.extras.versions import ranges


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=3.12", (3, 12, 0), (3, 11, 2)),
        (">=3.8,<4.0", (3, 11, 2), (4, 0, 0)),
        (">= 3.8, != 3.9.*", (3, 10, 1), (3, 9, 7)),
        ("==3.12.*", (3, 12, 5), (3, 13, 0)),
        ("<=3.11", (3, 11, 2), (3, 12, 0)),
        ("^3.11", (3, 13, 0), (4, 0, 0)),
        ("^0.3.1", (0, 3, 9), (0, 4, 0)),
        ("~=3.11", (3, 12, 0), (4, 0, 0)),
        ("~=3.11.1", (3, 11, 9), (3, 12, 0)),
        ("~20.1", (20, 1, 7), (20, 2, 0)),
        ("~> 3.1.0", (3, 1, 4), (3, 2, 0)),
        (">=18 <21 || 22.x", (22, 1, 0), (21, 0, 0)),
        ("14 - 20", (20, 5, 1), (21, 0, 0)),
        ("20", (20, 1, 1), (21, 0, 0)),
        (">20.1.0", (20, 1, 1), (20, 1, 0)),
        ("v20.11.1", (20, 11, 1), (20, 11, 2)),
    ],
)
def test_what_a_range_allows(text: str, inside: ranges.Version, outside: ranges.Version) -> None:
    assert ranges.allows(text, inside)
    assert not ranges.allows(text, outside)


@pytest.mark.parametrize("text", ["latest", "pypy3.9", ">=3.8; x", "3.8 and 3.9", "system"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="not a range of versions"):
        ranges.allows(text, (3, 11, 2))


def test_the_nearest_candidate_is_the_next_one_above() -> None:
    pythons = [(3, minor) for minor in range(6, 20)]
    assert ranges.nearest(">=3.12", (3, 11, 2), pythons) == (3, 12)
    assert ranges.nearest(">=3.12.4", (3, 11, 2), pythons) == (3, 12)
    assert ranges.nearest("<3.10", (3, 11, 2), pythons) == (3, 9)
    assert ranges.nearest(">=4", (3, 11, 2), pythons) == ()
    # In their own order: of Node.js the even ones come first.
    assert ranges.nearest(">=21", (20, 1, 0), [(20,), (22,), (21,)]) == (22,)
    assert ranges.nearest("^21", (20, 1, 0), [(20,), (22,), (21,)]) == (21,)
