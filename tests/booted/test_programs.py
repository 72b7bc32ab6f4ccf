"""The three programs on a booted host, by their unit files: sandboxed, at work, and started again.

The tests follow one another on one host: first the whole story, then one long limit through
restarts, kills, daemon-reload and a reboot.
"""

from __future__ import annotations

import email
import email.policy
import mailbox
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.booted import sandbox
from tests.booted.installed import MAILED_TO, Installed
from tests.booted.load import HOG, NEIGHBOURS, measure, start_tenants, unit_of
from tests.testhost.host import Host
from tests.testhost.image import Image
from tests.testhost.machine import Shape

LONG_LEASE_SECONDS = 3600
FIND_DROP_INS = "find /etc/systemd /run/systemd -name '*CPUQuota*'"
PROGRAMS = ("agent", "limiter", "controller")


@pytest.fixture(scope="module")
def installed(image: Image) -> Iterator[Installed]:
    """The programs at work on a machine of their own."""
    with Host(Shape(), image) as host:
        host.wait_until_up()
        host.install()
        installed = Installed(host)
        installed.set_up()
        yield installed


def test_a_unit_that_takes_the_processor_is_written_to_held_and_let_go(
    installed: Installed, tmp_path: Path
) -> None:
    host = installed.host
    before = standing(installed)
    start_tenants(host)

    case = installed.until("a case", lambda: next(iter(installed.cases()), None))
    assert (case["tenant"], case["resource"], case["host"]) == (HOG, "cpu", "node-1")
    greedy = measure(host)
    # Half a core is fair; drawing the letter takes the controller a core for a while, emulated.
    assert greedy[HOG].cores > 0.6

    installed.until("the mail", lambda: "Message-ID" in letters(installed))
    box = tmp_path / "mbox"
    box.write_text(letters(installed))
    with closing(mailbox.mbox(box)) as letters_there:
        letter = next(iter(letters_there))  # a slow look sees the next one too, of the limit
        message = email.message_from_bytes(letter.as_bytes(), policy=email.policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    for said in ("fair share", "CPU", "waited"):
        assert said in text

    held = installed.until("a limit", installed.held)
    assert held[0]["tenant"] == HOG
    ordered = held[0]["allowance"]["cores"]
    limited = measure(host)
    assert limited[HOG].cores == pytest.approx(ordered, rel=0.1), "within 10 % of the order"
    for name in NEIGHBOURS:
        assert limited[name].waiting < greedy[name].waiting, f"{name} waits less"

    installed.until("the lift", lambda: not installed.held(), seconds=installed.lease_seconds + 20)
    assert standing(installed) == before
    assert measure(host, 5)[HOG].cores > 1.2 * ordered, "it may take what it wants again"


def letters(installed: Installed) -> str:
    return installed.host.run(f"cat /var/mail/{MAILED_TO}", check=False).stdout


def standing(installed: Installed) -> str:
    """The unit's quota, and what systemd has on disk about it beside the unit itself."""
    shown = "CPUQuotaPerSecUSec,CPUQuotaPeriodUSec"
    quota = installed.host.run(f"systemctl show -p {shown} {unit_of(HOG)}").stdout
    return quota + installed.host.run(FIND_DROP_INS).stdout


@pytest.mark.parametrize(("program", "most"), sandbox.MOST_EXPOSED.items())
def test_systemd_scores_the_sandbox(installed: Installed, program: str, most: float) -> None:
    assert sandbox.score(installed.host, program) <= most


@pytest.mark.parametrize("program", sandbox.ALLOWED_CAPABILITIES)
def test_agent_and_controller_run_without_privileges(installed: Installed, program: str) -> None:
    sandbox.assert_unprivileged(installed.host, program)


def test_nothing_is_denied_to_the_programs_at_their_work(installed: Installed) -> None:
    assert sandbox.denials(installed.host) == []


@pytest.fixture(scope="module")
def limited(installed: Installed) -> Installed:
    """The tenants go on as they did, and a limit with a long lease stands."""
    installed.set_lease(LONG_LEASE_SECONDS)
    long = 2 * installed.lease_seconds
    installed.until("a limit with a long lease", lambda: lease_left(installed) > long)
    return installed


def lease_left(installed: Installed) -> float:
    return max((held["remaining_seconds"] for held in installed.held()), default=0.0)


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


def test_what_a_killed_limiter_held_is_lifted_as_it_starts_and_held_again(
    limited: Installed, order: str
) -> None:
    limited.host.run("systemctl kill -s KILL fairuse-limiter")
    lifted = f"lifted: order {order}, tenant {HOG}, cpu: limiter-started"
    limited.until("the lift", lambda: lifted in limited.logs())
    limited.until("the same order again", lambda: held_orders(limited) == [order])


def test_after_a_reboot_nothing_is_limited(limited: Installed, order: str) -> None:
    limited.host.reboot()
    limited.until("all are back", lambda: all(map(limited.is_active, PROGRAMS)))
    start_tenants(limited.host)
    assert quota(limited) == "infinity", "nothing was written that outlives a boot"
    assert limited.host.run("fairuse-limiter status").returncode == 0
    assert limited.host.run(FIND_DROP_INS).stdout == ""
