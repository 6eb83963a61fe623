"""The doctor from a laptop: of the app whose checkout it is, of the whole server, and of the laptop's own piku."""

import json
from pathlib import Path

from tests.client.laptop import Laptop
from tests.e2e.support import App

NAME = "dispensary"


def test_the_doctor_is_asked_from_a_laptop(laptop: Laptop, checkout: Path, shop: App) -> None:
    asked = json.loads(laptop.piku(checkout, "doctor", "--json", "--url", "/").stdout)["findings"]
    assert {one["app"] for one in asked if one["check"] == "visit"} == {shop.name}
    assert {one["app"] for one in asked} <= {shop.name, ""}
    # Whether a piku works is asked of that very one: an update of the laptop's asks so.
    own = laptop.piku(checkout, "doctor", "--self")
    assert (own.returncode, "this server is not set up" in own.stdout) == (1, True)
    own_json = json.loads(laptop.piku(checkout, "doctor", "--json", "--self").stdout)
    assert "this server is not set up" in str(own_json["findings"])
    there = laptop.piku(checkout, "-r", "piku", "doctor", "--self")
    assert (there.returncode, there.stdout) == (0, "all is well\n"), there.stdout
    assert f"\n{shop.name} " in laptop.says(checkout, "status")
