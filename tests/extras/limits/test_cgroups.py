"""Which cgroup a process may use, from what the kernel says of it; tests/limits has real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from piku.extras.limits import cgroups
from piku.paths import AppName, Paths

VERSION_2 = "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = """\
30 29 0:26 / /sys/fs/cgroup/memory rw shared:1 - cgroup cgroup rw,memory
33 29 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
34 29 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "uwsgi").mkdir()
    return Paths(root=tmp_path, home=tmp_path)


def test_where_a_process_is() -> None:
    own = "0::/system.slice/piku.service\n"
    service = Path("/sys/fs/cgroup/system.slice/piku.service")
    assert cgroups.located(own, VERSION_2) == service
    both = "4:memory:/given\n1:name=systemd:/x\n0::/x y\n"
    assert cgroups.located(both, HYBRID) == Path("/sys/fs/cgroup/unified/x y")
    assert cgroups.located("4:memory:/given\n", HYBRID) is None


def test_a_container_sees_a_part_of_the_hierarchy() -> None:
    mounts = VERSION_2.replace("0:22 / ", "0:22 /docker/abc ")
    assert cgroups.located("0::/docker/abc/web\n", mounts) == Path("/sys/fs/cgroup/web")
    assert cgroups.located("0::/docker/abc\n", mounts) == Path("/sys/fs/cgroup")
    assert cgroups.located("0::/docker/abcd\n", mounts) is None


def test_without_one_there_is_a_reason(paths: Paths) -> None:
    assert "start it again" in cgroups.missing(paths.root)
    cgroups.prepare(paths)  # the tests have none of their own
    assert "cgroup" in cgroups.missing(paths.root)
    assert not cgroups.place(paths.root).exists()


def test_groups_are_matched_by_the_apps_whole_name(paths: Paths) -> None:
    place = cgroups.place(paths.root)
    for name in ("app-foo@1", "app-foo@12", "app-foobar@1", "app-foo@x", "platform", "app-@1"):
        (place / name / "web.1").mkdir(parents=True)
    cgroups.remove_empty(paths.root, AppName("foo"), keep="app-foo@12")
    left = sorted(path.name for path in place.iterdir())
    assert left == ["app-@1", "app-foo@12", "app-foobar@1", "platform"]


def test_numbers_of_the_kernel(tmp_path: Path) -> None:
    assert cgroups.number(tmp_path / "pids.current") == 0
    (tmp_path / "pids.current").write_text("12\n")
    (tmp_path / "memory.events").write_text("low 0\noom 4\noom_kill 3\noom_group_kill 1\n")
    assert cgroups.number(tmp_path / "pids.current") == 12
    assert cgroups.number(tmp_path / "memory.events", "oom_kill") == 3
