"""Whatever becomes of any file of an app, the platform starts with the others, and names the file."""

import io

import pytest
from sandbox import Sandbox

from piku.deploy import live_sites, reconcile, recovery
from piku.nginx import service
from piku.operate import housekeeping
from piku.operate import server as platform
from piku.output import Output
from piku.paths import AppName, Paths
from tests.faults.damage import DAMAGES, damaged, prepare, state_files


@pytest.fixture(scope="module")
def paths(server: Sandbox) -> Paths:
    prepare(server)
    found = Paths(root=server.root, home=server.home)
    starts(found)  # what past starts left goes
    return found


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_file(server: Sandbox, paths: Paths, damage: str) -> None:
    """What `piku up` does before it becomes nginx and the emperor; a second says more than 200 whole
    starts would, which tests/faults/test_damaged_files.py has some of."""
    faults, names = [], state_files(server.root, "victim")
    assert len(names) > 30
    for name in names:
        if (server.root / name).is_dir() and damage not in ("folder", "mode 000"):
            continue
        with damaged(server.root / name, damage, server.base / "kept"):
            said = starts(paths)
        if said and name not in said:
            faults.append(f"{name}: {said}")
    assert not faults, "\n".join(faults)


def starts(paths: Paths) -> str:
    """See that the platform would start, with the bystander; what it says."""
    said = io.StringIO()
    output = Output(said)
    platform.setup(paths)
    recovery.recover_all(paths, output)
    live_sites.install_all(paths, output.warn)
    service.check_installed(paths)
    bystander = paths.app(AppName("bystander"))
    reconcile.reconcile(paths, bystander)
    assert reconcile.is_settled(paths, bystander)
    assert bystander.nginx.exists()
    housekeeping.rotate(paths)
    return said.getvalue()
