"""Ansible against booted hosts. Run by: BOOTED=tests/rollout/booted make test-host"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rollout import packages, provider
from tests.rollout.operator import NAME, Operator, ansible_programs
from tests.testhost import needs
from tests.testhost.host import Host
from tests.testhost.image import image
from tests.testhost.machine import Shape

_STEP_SECONDS = 1200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A play on an emulated machine takes minutes: what hangs is ended all the same."""
    for item in items:
        if "tests/rollout/booted/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(_STEP_SECONDS, func_only=True))


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator with a package for two versions, and one host that is controller and hypervisor.

    One host instead of three: three emulated machines on two cores time out on themselves.
    """
    try:
        needs.check()
    except needs.CannotRunError as missing:
        pytest.skip(f"needs a test host: {missing}")
    folder = tmp_path_factory.mktemp("operator")
    programs = ansible_programs()
    built = packages.built(("0.1.0", "0.2.0"))
    with Host(Shape(name=NAME), image()) as host:
        host.wait_until_up()
        provider.prepare(host, NAME)
        yield Operator(folder, host, programs, built)
