"""Which cgroups a process may use, from what the kernel says of it; tests/limits has real ones."""

from __future__ import annotations

from pathlib import Path

from piku import files
from piku.extras.limits import cgroups
from piku.paths import AppName

VERSION_2 = "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
VERSION_1 = """\
30 29 0:26 / /sys/fs/cgroup/memory rw shared:1 - cgroup cgroup rw,memory
31 29 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 29 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
33 29 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
34 29 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""


def test_version_2() -> None:
    own = "0::/system.slice/piku.service\n"
    assert cgroups.located(own, VERSION_2) == {"": Path("/sys/fs/cgroup/system.slice/piku.service")}


def test_version_1_and_both_together() -> None:
    own = "4:memory:/given\n2:cpu,cpuacct:/given/a b\n3:pids:/\n1:name=systemd:/x\n0::/x\n"
    assert cgroups.located(own, VERSION_1) == {
        "memory": Path("/sys/fs/cgroup/memory/given"),
        "cpu": Path("/sys/fs/cgroup/cpu,cpuacct/given/a b"),
        "cpuacct": Path("/sys/fs/cgroup/cpu,cpuacct/given/a b"),
        "pids": Path("/sys/fs/cgroup/pids"),
        "": Path("/sys/fs/cgroup/unified/x"),
    }


def test_a_container_sees_a_part_of_the_hierarchy() -> None:
    mounts = VERSION_2.replace("0:22 / ", "0:22 /docker/abc ")
    assert cgroups.located("0::/docker/abc/web\n", mounts) == {"": Path("/sys/fs/cgroup/web")}
    assert cgroups.located("0::/docker/abc\n", mounts) == {"": Path("/sys/fs/cgroup")}
    assert cgroups.located("0::/docker/abcd\n", mounts) == {}


def test_without_any_it_says_so(tmp_path: Path) -> None:
    given = cgroups.take(cgroups.located("", ""))
    assert given.folders == {}
    assert given.missing["cpu"] == "the cgroup that piku was started in has no 'cpu' controller"
    cgroups.publish(tmp_path / "cgroups", given)
    assert cgroups.missing(tmp_path / "cgroups") == given.missing
    assert list(cgroups.groups(tmp_path / "cgroups")) == []


def test_one_that_cannot_be_written_is_somebody_elses(tmp_path: Path) -> None:
    given = cgroups.take({"memory": tmp_path / "none"})
    assert "not its own" in given.missing["memory"]


def test_before_the_first_start_nothing_is_known(tmp_path: Path) -> None:
    assert set(cgroups.missing(tmp_path)) == set(cgroups.CONTROLLERS)


def test_groups_are_matched_by_the_apps_whole_name(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for name in ("app-foo@1", "app-foo@12", "app-foobar@1", "app-foo@x", "platform", "app-@1"):
        (top / name / "web.1").mkdir(parents=True)
    place = tmp_path / "cgroups"
    place.mkdir()
    files.link(top, place / "memory")
    files.link(top, place / "pids")  # version 2: one folder for all
    assert [path.name for path in cgroups.groups(place, AppName("foo"))] == [
        "app-foo@1",
        "app-foo@12",
    ]
    assert cgroups.group(AppName("foo"), 12) == "app-foo@12"
    [group, *_] = cgroups.groups(place, AppName("foo"))
    cgroups.remove_empty(group, spare=["web.1"])
    assert (group / "web.1").is_dir()
    cgroups.remove_empty(group)
    assert not group.exists()
    cgroups.remove_empty(group)


def test_memory_is_what_the_kernel_would_not_give_back(tmp_path: Path) -> None:
    assert (
        cgroups.memory(tmp_path) is None
        and cgroups.tasks(tmp_path) is None
        and cgroups.killed(tmp_path) == 0
    )
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 300\ntotal_inactive_file 7\n")
    (tmp_path / "memory.events").write_text("low 0\noom 4\noom_kill 3\noom_group_kill 1\n")
    (tmp_path / "pids.current").write_text("12\n")
    assert cgroups.memory(tmp_path) == 700
    assert cgroups.killed(tmp_path) == 3
    assert cgroups.tasks(tmp_path) == 12
