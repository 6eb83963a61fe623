"""What it costs to watch a server of 50 apps."""

import resource
import shutil
import time
from pathlib import Path
from statistics import median

import pytest
from sandbox import Sandbox

from piku import procfs
from piku.extras.metrics import history
from piku.extras.metrics.history import DAY, HOUR, STEP, Sample
from tests.e2e.conftest import NewApp
from tests.e2e.support import App, web, wsgi
from tests.extras.alerts.receiver import Receiver, look, tell

APPS = 50
MOST = 0.002  # of a core, for sampling


def full(ring: Path) -> None:
    """The figures of a month."""
    now = int(time.time())
    for span, step in ((31 * DAY, HOUR), (DAY, STEP)):
        for at in range(now - span, now - 300, step):
            one = Sample(at=at - at % STEP, requests=at % 89, p50=0.01, p95=0.1, memory=at % 9999)
            history.add(ring, one)


def seconds(server: Sandbox, looks: int = 5) -> float:
    """Processor time of one housekeeping, with all that it starts."""
    taken = []
    for _ in range(looks):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        look(server)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median(taken)


def memory(server: Sandbox, apps: list[App]) -> float:
    """MB of nginx, which has served a request of each app since it was told anew."""
    for app in apps:
        assert [app.status() for _ in range(4)] == [200] * 4
    pids = procfs.descendants(server.platform_pid())
    return sum(procfs.memory(pid) for pid in pids if "nginx:" in procfs.command(pid)) / 2**20


@pytest.mark.timeout(600)
def test_cost(server: Sandbox, new_app: NewApp, tmp_path: Path) -> None:
    names = [f"app{number}" for number in range(APPS)]
    apps = [new_app(name, web(name) if name[-1] in "02468" else wsgi(name)) for name in names]
    nginx = {"nothing": memory(server, apps)}
    taken = {"nothing": seconds(server)}
    assert server.piku("metrics:on").returncode == 0
    full(tmp_path / "ring")
    for name in names:
        shutil.copy(tmp_path / "ring", server.root / "metrics" / f"{name}.ring")
    nginx["metrics"] = memory(server, apps)
    taken["metrics"] = seconds(server)
    assert server.piku("page:on", "status.localhost").returncode == 0
    taken["page"] = seconds(server)
    shown = server.root / "data" / "status-page"
    for page in shown.glob("app-*"):
        page.unlink()
    taken["page, each app's own, too"] = seconds(server, 1)
    receiver = Receiver()
    tell(server, receiver)
    taken["alerts"] = seconds(server)
    receiver.close()
    print()
    for name, value in taken.items():
        print(f"{name}: {value * 1000:.0f} ms, {value / STEP:.3%} of a core")
    print(", ".join(f"nginx with {name} {size:.1f} MB" for name, size in nginx.items()))
    sizes = [file.stat().st_size for file in shown.iterdir()]
    print(f"pages {sum(sizes) / 1000:.0f} kB, the largest {max(sizes) / 1000:.0f} kB")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"the largest program {most / 1024:.0f} MB")
    assert (taken["metrics"] - taken["nothing"]) / STEP < MOST
