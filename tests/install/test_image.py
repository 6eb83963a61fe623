"""The package in an image that is made in a chroot, where no systemd runs, and that a machine then
starts from."""

from pathlib import Path

import pytest

from tests.install.box import Box, call
from tests.install.support import Laptop, wait

pytestmark = pytest.mark.timeout(240)
INSTALL = (
    "DEBIAN_FRONTEND=noninteractive "
    "apt-get -q --yes --no-install-recommends install /srv/piku.deb 2>&1"
)


def test_piku_has_the_ports_at_the_first_boot(
    own_mounts: None, packages: tuple[Path, Path], tmp_path: Path
) -> None:
    said = []

    def install(root: Path) -> None:
        (root / "srv/piku.deb").write_bytes(packages[0].read_bytes())
        # As those who make images do: nothing is to be started in there.
        policy = root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        call("mount", "-t", "proc", "proc", str(root / "proc"))
        try:
            said.append(call("chroot", str(root), "sh", "-c", INSTALL))
        finally:
            call("umount", str(root / "proc"))
            policy.unlink()
        # Every machine made of the image is to be one of its own: systemd then sees to all services
        # at the first boot.
        (root / "etc/machine-id").write_text("uninitialized\n")

    with Box(prepare=install) as box:
        assert "systemd does not run here: Piku starts when this machine boots" in said[0]
        laptop = Laptop.of(box, tmp_path)
        (box.root / "root/laptop.pub").write_text(laptop.key)
        box.sh("piku setup:ssh laptop.pub")
        for unit in ("piku-nginx", "piku-emperor"):
            wait(
                lambda unit=unit: (
                    box.run("systemctl", "is-active", unit, check=False).stdout == "active\n"
                ),
                unit,
            )  # type: ignore[misc]
        assert box.run("systemctl", "is-active", "nginx", check=False).stdout == "inactive\n"
        wait(
            lambda: (
                "nginx listens on port 80\n" in box.run("piku", "doctor", "-v", check=False).stdout
            ),
            "port 80",
        )
