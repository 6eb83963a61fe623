"""What an app may take, as people write it."""

import pytest

from piku.extras.limits import settings as checks

MB = 2**20


@pytest.mark.parametrize(
    ("text", "size"),
    [("", None), ("256M", 256 * MB), ("256m", 256 * MB), ("1.5G", 1536 * MB), ("64 MB", 64 * MB),
     ("64MiB", 64 * MB), ("0.5G", 512 * MB), ("16M", 16 * MB), ("1024G", 2**40)],
)  # fmt: skip
def test_memory(text: str, size: int | None) -> None:
    assert checks.memory(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "256",
        "-1M",
        "0M",
        "15M",
        "1025G",
        "64K",
        "M",
        "1,5G",
        "1e3M",
        "lots",
        "64M 64M",
        "٣٢M",
        "1.G",
    ],
)
def test_what_is_no_memory(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a size"):
        checks.memory(text)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", None),
        ("0.5", 0.5),
        ("1", 1.0),
        ("2", 2.0),
        ("50%", 0.5),
        ("150 %", 1.5),
        ("0.01", 0.01),
    ],
)
def test_processors(text: str, share: float | None) -> None:
    assert checks.processors(text) == share


@pytest.mark.parametrize(
    "text", ["0", "0.009", "0%", "-1", "half", "1025", ".5", "50%%", "1e9", "0.5 1", "५"]
)
def test_what_is_no_number_of_processors(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a number of processors"):
        checks.processors(text)


@pytest.mark.parametrize(("text", "count"), [("", None), ("10", 10), ("100000", 100000)])
def test_processes(text: str, count: int | None) -> None:
    assert checks.tasks(text) == count


@pytest.mark.parametrize("text", ["9", "0", "-1", "100001", "many", "1.5"])
def test_what_is_no_number_of_processes(text: str) -> None:
    with pytest.raises(ValueError, match="not a whole number from 10 to 100000"):
        checks.tasks(text)
