"""In the middle of a limit: restarts, kills, daemon-reload, and a reboot. Each ends as it should.

The tests follow one another on one host, under one limit.
"""

from __future__ import annotations

import pytest

from tests.booted.installed import Installed
from tests.booted.load import HOG, measure, start_tenants, unit_of
from tests.testhost.host import Host

LEASE_SECONDS = 900


@pytest.fixture(scope="module")
def limited(own_host: Host) -> Installed:
    """A limit stands, with a long lease."""
    installed = Installed(own_host)
    installed.set_up(lease_seconds=LEASE_SECONDS)
    start_tenants(own_host)
    installed.until("a limit", installed.held, seconds=120)
    return installed


@pytest.fixture
def order(limited: Installed) -> str:
    """The order that stands, in the kernel too."""
    (held,) = limited.until("the limit", limited.held)
    assert quota(limited) != "infinity"
    order: str = held["order"]
    return order


def quota(installed: Installed) -> str:
    show = f"systemctl show --value -p CPUQuotaPerSecUSec {unit_of(HOG)}"
    return installed.host.run(show).stdout.strip()


def held_orders(installed: Installed) -> list[str]:
    return [held["order"] for held in installed.held()]


@pytest.mark.parametrize("program", ["agent", "controller"])
@pytest.mark.parametrize("how", ["systemctl restart", "systemctl kill -s KILL"])
def test_the_limit_stands_while_agent_or_controller_starts_again(
    limited: Installed, order: str, program: str, how: str
) -> None:
    before = quota(limited)
    limited.host.run(f"{how} fairuse-{program}")
    limited.until("it is back", lambda: limited.is_active(program))
    # Long enough for a wrong idea of the restarted program to have come through.
    measure(limited.host, 5)
    assert held_orders(limited) == [order]
    assert quota(limited) == before


def test_daemon_reload_changes_nothing(limited: Installed, order: str) -> None:
    before = quota(limited)
    limited.host.run("systemctl daemon-reload")
    use = measure(limited.host)
    assert quota(limited) == before
    assert use[HOG].cores == pytest.approx(limited.held()[0]["allowance"]["cores"], rel=0.1)
    assert held_orders(limited) == [order]


def test_a_limiter_that_is_stopped_lifts_first(limited: Installed, order: str) -> None:
    limited.host.run("systemctl stop fairuse-limiter")
    assert quota(limited) == "infinity"
    limited.host.run("systemctl start fairuse-limiter")
    limited.until("the same order again", lambda: held_orders(limited) == [order])


def test_what_a_killed_limiter_held_is_lifted_at_once_and_ordered_again(
    limited: Installed, order: str
) -> None:
    limited.host.run("systemctl kill -s KILL fairuse-limiter")
    limited.until("it is back", lambda: limited.is_active("limiter"))
    said = limited.host.run("journalctl --no-pager -o cat -u fairuse-limiter -n 30").stdout
    assert f"{order} {HOG} cpu: restored" in said
    limited.until("the same order again", lambda: held_orders(limited) == [order])


def test_after_a_reboot_nothing_is_limited(limited: Installed, order: str) -> None:
    limited.host.reboot()
    limited.until("all are back", lambda: all(map(limited.is_active, PROGRAMS)))
    start_tenants(limited.host)
    assert quota(limited) == "infinity", "nothing was written that outlives a boot"
    assert limited.host.run("fairuse-limiter status").returncode == 0
    dropins = limited.host.run("find /etc/systemd/system /run/systemd -name '*CPUQuota*'").stdout
    assert dropins == ""


PROGRAMS = ("agent", "limiter", "controller")
