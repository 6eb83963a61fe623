"""In which order files of tests begin, when several run at once."""

import pytest

SLOWEST = ("test_killed.py", "test_sleep.py", "test_cron.py", "test_supervision.py", "test_drain.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes longest, so that nobody waits for it alone at the end."""
    items.sort(key=lambda item: item.path.name not in SLOWEST or "unit" in item.path.parts)
