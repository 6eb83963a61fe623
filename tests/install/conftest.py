"""A fresh machine, a laptop beside it, and the packages of this checkout."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import debian
from tests.install import box as boxes
from tests.install import packages as made
from tests.install.box import Box
from tests.install.support import Laptop, Transcript


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make the system that machines are copies of: that takes minutes, which are no test's."""
    ours = any(Path(__file__).parent in item.path.parents for item in session.items)
    if ours and os.getuid() == 0 and not session.config.option.collectonly:
        debian.base(boxes.SUITE, boxes.SYSTEM, boxes.ARCHIVES)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The package, and one of a version to come."""
    folder = tmp_path_factory.mktemp("packages")
    return made.build(folder), made.build(
        folder, "99.0", appended={"debian/piku.default": "#PIKU_NEW=\n"}
    )


@pytest.fixture(scope="session")
def transcript(request: pytest.FixtureRequest) -> Iterator[Transcript]:
    """What is typed and answered; written where TRANSCRIPT says, if all goes well."""
    story = Transcript()
    yield story
    if not request.session.testsfailed:
        story.save()


@pytest.fixture(scope="module")
def box(own_mounts: None) -> Iterator[Box]:
    with Box() as machine:
        yield machine


@pytest.fixture(scope="session")
def own_mounts() -> None:
    if os.getuid() != 0:
        pytest.fail("only root can make machines: run make test-install as root")
    boxes.private_mounts()


@pytest.fixture(scope="module")
def laptop(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    return Laptop.of(box, tmp_path_factory.mktemp("laptop"))
