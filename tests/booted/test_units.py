"""Units limited through a running systemd, with the limiter's own tests run there."""

from __future__ import annotations

import pytest

from tests.testhost.host import Host


@pytest.mark.timeout(3600, func_only=True)
def test_units_are_limited_and_restored(host: Host) -> None:
    host.pytest("-q tests/limiter/test_units.py", timeout_seconds=1500)
