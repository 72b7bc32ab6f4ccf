"""Ansible against booted hosts. Run by: BOOTED=tests/rollout/booted make test-host"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.rollout import packages, provider
from tests.rollout.operator import Operator, ansible_programs
from tests.testhost import needs, network
from tests.testhost.image import image
from tests.testhost.systems import DEBIAN_12, SYSTEMS

HOSTS = int(os.environ.get("ROLLOUT_HOSTS", "1"))
SYSTEM = SYSTEMS[os.environ.get("ROLLOUT_SYSTEM", DEBIAN_12.name)]
_STEP_SECONDS = 1200 * HOSTS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A play on an emulated machine takes minutes: what hangs is ended all the same."""
    for item in items:
        if "tests/rollout/booted/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(_STEP_SECONDS, func_only=True))


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator with a package for two versions, and hosts that have nothing of Fairuse.

    ROLLOUT_HOSTS=3 boots a controller and two hypervisors; else one host is both, because three
    emulated ones keep each other waiting on two cores. ROLLOUT_SYSTEM=debian-13 is what they run.
    """
    try:
        needs.check()
    except needs.CannotRunError as missing:
        pytest.skip(f"needs a test host: {missing}")
    folder = tmp_path_factory.mktemp("operator")
    programs = ansible_programs()
    built = packages.built(("0.1.0", "0.2.0"), SYSTEM)
    names = ["node1"] if HOSTS == 1 else ["controller", *(f"node{i}" for i in range(1, HOSTS))]
    with network.lan(image(SYSTEM), names) as hosts:
        for host in hosts:
            provider.prepare(host)
        yield Operator(folder, hosts, programs, built)
