"""The unit files: as tightly sandboxed as still works."""

from __future__ import annotations

import pytest

from tests.booted.installed import Installed


@pytest.mark.parametrize(("unit", "most"), [("agent", 2.0), ("limiter", 4.0), ("controller", 2.0)])
def test_systemd_scores_the_sandbox(installed: Installed, unit: str, most: float) -> None:
    told = installed.host.run(f"systemd-analyze security --no-pager fairuse-{unit}.service").stdout
    score = float(told.rsplit("exposure level for", 1)[1].split(":")[1].split()[0])
    assert score <= most


@pytest.mark.parametrize("unit", ["agent", "controller"])
def test_agent_and_controller_run_without_privileges(installed: Installed, unit: str) -> None:
    process = installed.host.run(f"systemctl show -p MainPID --value fairuse-{unit}").stdout.strip()
    status = installed.host.read(f"/proc/{process}/status")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    user = int(installed.host.run(f"id -u fairuse-{unit}").stdout)
    assert set(fields["Uid"].split()) == {str(user)} != {"0"}
    allowed = {"agent": 0, "controller": 1 << 10}[unit]  # CAP_NET_BIND_SERVICE
    assert int(fields["CapEff"], 16) | allowed == allowed
    assert fields["NoNewPrivs"].strip() == "1"


def test_nothing_is_denied_to_the_programs_at_their_work(installed: Installed) -> None:
    """A sandbox that is too tight shows as permission errors in the log."""
    told = installed.host.run("journalctl --no-pager -o cat -u 'fairuse-*'").stdout
    assert "Operation not permitted" not in told
    assert "Permission denied" not in told
    assert "Read-only file system" not in told
