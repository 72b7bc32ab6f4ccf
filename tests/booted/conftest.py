"""Tests on a booted Debian 12: real systemd, unified cgroups, libvirt. Run by: make test-host"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.testhost import needs, network
from tests.testhost.host import Host
from tests.testhost.image import Image
from tests.testhost.image import image as build_image
from tests.testhost.machine import Shape

_SMALL = Shape(processors=1, memory_mebibytes=768)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A machine under software emulation is slow: what hangs is ended all the same."""
    for item in items:
        if "tests/booted" in item.path.as_posix() and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900, func_only=True))


@pytest.fixture(scope="session")
def image() -> Image:
    """What every machine boots from, out of the cache if it is there."""
    try:
        needs.check()
    except needs.CannotRunError as missing:
        pytest.skip(f"needs a test host: {missing}")
    return build_image()


@pytest.fixture(scope="session")
def host(image: Image) -> Iterator[Host]:
    """A booted machine with Fairuse and three empty disks of 1 GiB, shared by all tests.

    Leave it as you found it: end your units, remove your files.
    """
    with Host(Shape(extra_disks_mebibytes=(1024, 1024, 1024)), image) as booted:
        booted.wait_until_up()
        booted.install()
        yield booted


@pytest.fixture
def lan(image: Image) -> Iterator[Callable[..., list[Host]]]:
    """Several machines on a private network: `lan(3)` boots node1 to node3, small ones.

    They find each other by name; Fairuse is not installed (`node.install()` does it).
    """
    with ExitStack() as running:

        def boot(number: int, shape: Shape = _SMALL) -> list[Host]:
            names = [f"node{position + 1}" for position in range(number)]
            return running.enter_context(network.lan(image, names, shape))

        yield boot


@pytest.fixture
def fresh_host(image: Image) -> Iterator[Callable[[Shape], Host]]:
    """Boots machines of a test's own, Fairuse installed, gone after it: `fresh_host(Shape())`."""
    with ExitStack() as running:

        def boot(shape: Shape) -> Host:
            booted = running.enter_context(Host(shape, image))
            booted.wait_until_up()
            booted.install()
            return booted

        yield boot
