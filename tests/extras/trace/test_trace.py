"""PIKU_TRACE: where the time of a deploy goes, for Perfetto and Speedscope."""

import json
from collections.abc import Callable

from tests.e2e.support import App, succeeded


def test_a_deploy_is_traced(new_app: Callable[..., App]) -> None:
    app = new_app("traced")
    place = app.server.base / "trace.json"
    succeeded(app.server.piku("deploy", "traced", env={"PIKU_TRACE": str(place)}))
    events = json.loads(place.read_text())["traceEvents"]
    whole, *inner = events
    assert whole["name"] == "deploy traced"
    steps = [event["name"] for event in inner if " " not in event["name"]]
    assert steps == ["read", "checkout", "build", "configuration", "start", "switch"]
    assert any("update-ref" in event["name"] for event in inner)
    end = whole["ts"] + whole["dur"]
    assert all(
        event["ph"] == "X" and whole["ts"] <= event["ts"] <= event["ts"] + event["dur"] <= end
        for event in inner
    )
