"""Where acme.sh may be."""

from __future__ import annotations

import pytest

from piku.errors import PikuError
from piku.extras.certs.acme_sh import ROOT


def test_its_folder_is_an_absolute_path() -> None:
    assert ROOT.read({"ACME_ROOT": "/a/..b/c"}) == "/a/..b/c"
    for text in ("a", "/a/../b", "/.."):
        with pytest.raises(PikuError, match="ACME_ROOT"):
            ROOT.read({"ACME_ROOT": text})
