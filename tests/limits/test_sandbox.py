"""Limits of an app that has walls: it joins its group before it is inside, where no group can be changed."""

from __future__ import annotations

import pytest

from tests.limits.conftest import Hungry
from tests.limits.support import eat, is_back, limits, memory, told


@pytest.mark.parametrize("kind", ["wsgi", "web"])
def test_memory_inside_walls(hungry: Hungry, kind: str) -> None:
    app = hungry(f"walled-{kind}", kind, "PIKU_MEMORY_LIMIT=64M\n")
    app.does("config:set", "PIKU_SANDBOX=true")
    assert eat(app, 20)
    assert 20 < memory(app) < 64
    assert not eat(app, 100)
    is_back(app)
    assert memory(app) < 40 and "killed" in limits(app)
    assert told(app) == 1
    assert app.does("run", "ls -d /run/piku-sandbox") == "/run/piku-sandbox\n"
