"""Where a backup can be written."""

import pytest
from sandbox import Sandbox

from tests.e2e.support import refused, succeeded


@pytest.mark.parametrize("place", ["", "/", "/usr"])
def test_a_folder_is_no_file(server: Sandbox, place: str) -> None:
    succeeded(server.piku("apps:create", "placed"))
    refused(server.piku("backup", "placed", place), 1, "is a folder", "piku backup placed FILE")
    refused(server.piku("backup", "placed", "x" * 300), 1, "File name too long")
    succeeded(server.piku("destroy", "placed", "--force"))
