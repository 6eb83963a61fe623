"""The settings of an app that was restored."""

from piku.extras.restore import restore


def test_every_setting_with_a_database_gets_its_new_address() -> None:
    old = {"DATABASE_URL": "postgres://old", "DB": "postgres://old", "A": "1", "EMPTY": ""}
    new = {"DATABASE_URL": "postgres://new", "EMPTY": "redis://new"}
    assert restore._addressed(old, new) == {
        "DATABASE_URL": "postgres://new", "DB": "postgres://new", "A": "1", "EMPTY": "redis://new"
    }  # fmt: skip
