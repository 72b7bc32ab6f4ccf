"""From an empty host to a limited tenant, and back to what was there before, by playbooks alone.

The tests follow one another on the same hosts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.booted import sandbox
from tests.booted.installed import MAILED_TO
from tests.booted.load import HOG, NEIGHBOURS, start_tenants, unit_of
from tests.rollout.booted import asfound
from tests.rollout.operator import Operator
from tests.testhost.host import Host


@dataclass(frozen=True)
class AsFound:
    """How a host is, or was."""

    files: set[str]
    units: set[str]

    @classmethod
    def now(cls, host: Host) -> AsFound:
        return cls(asfound.files(host), asfound.units(host))


@pytest.fixture(scope="module")
def before(operator: Operator) -> dict[str, AsFound]:
    """Of each host by its name."""
    for host in operator.hosts:
        host.run("mkdir -p /root/.ansible")
    return {host.name: AsFound.now(host) for host in operator.hosts}


@pytest.fixture(scope="module")
def tenants(operator: Operator) -> tuple[str, ...]:
    """At work from here on, one of them at the others' cost.

    They leave most of an emulated processor to whoever else wants it: plays take long enough.
    """
    operator.node.run("systemctl set-property --runtime customers.slice CPUWeight=10")
    start_tenants(operator.node, busy=2)
    return (HOG, *NEIGHBOURS)


def test_check_mode_promises_changes_and_makes_none(
    operator: Operator, before: dict[str, AsFound]
) -> None:
    played = operator.play("controller", "--check")
    assert played.changed > 5
    assert AsFound.now(operator.controller) == before[operator.controller.name]


def test_a_rollout_enrols_the_host_which_reports_and_is_only_watched(
    operator: Operator, before: dict[str, AsFound]
) -> None:
    assert before.keys() == {host.name for host in operator.hosts}
    played = operator.play("controller", "rollout")
    for node in operator.nodes:
        assert node.read("/var/lib/fairuse-agent/credential").strip() not in played.output
    assert operator.token_file.read_text().strip() not in played.output
    reporting = sorted(line["host"] for line in operator.api("/hosts")["hosts"])
    assert reporting == sorted(node.name for node in operator.nodes)
    gate = operator.api("/gate")
    assert gate["reasons"] == []
    assert [ring["mode"] for ring in gate["rings"]] == ["observe"]


def test_a_second_rollout_changes_nothing(operator: Operator) -> None:
    assert operator.play("controller", "rollout").changed == 0


def test_a_revoked_host_is_refused_until_it_has_a_new_credential(operator: Operator) -> None:
    credential = "/var/lib/fairuse-agent/credential"
    old = operator.node.read(credential).strip()
    assert operator.play("revoke", fairuse_revoke=[operator.node.name]).changed == 1
    operator.until("the refusal", lambda: operator.refuses(old))
    operator.play("rotate")
    assert operator.node.read(credential).strip() != old
    renewed_at = operator.api("/gate")["at"]
    operator.until("a report again", lambda: last_report_at(operator) > renewed_at)


def test_no_ring_goes_further_without_a_backtest(operator: Operator, tmp_path: Path) -> None:
    step: dict[str, Any] = {"fairuse_ring": "canary", "fairuse_mode": "contact"}
    refused = operator.play("enforce", check=False, fairuse_backtest=str(tmp_path), **step)
    assert refused.status != 0
    assert "Expected fairuse_backtest, a folder" in refused.output


def test_an_upgrade_under_load_loses_no_report(
    operator: Operator, tenants: tuple[str, ...]
) -> None:
    reporting = operator.until("all tenants in the reports", lambda: sees(operator, tenants))
    operator.variables["fairuse_install_version"] = "0.2.0"
    operator.play("upgrade")
    assert running_versions(operator) == {"0.2.0"}
    assert operator.api("/gate")["version"] == "0.2.0"
    assert missing_reports(operator.controller) == []
    host = operator.api(f"/hosts/{operator.node.name}")["host"]
    assert host["lost_reports"] == 0
    assert host["last_report_at"] > reporting


def test_going_back_takes_one_play(operator: Operator) -> None:
    operator.play("rollback")
    operator.variables["fairuse_install_version"] = "0.1.0"
    assert running_versions(operator) == {"0.1.0"}
    assert operator.api("/gate")["version"] == "0.1.0"


def test_customers_are_written_to_once_the_policy_was_played_through(
    operator: Operator, tenants: tuple[str, ...]
) -> None:
    report = str(operator.folder / "backtest")
    step: dict[str, Any] = {"fairuse_ring": "canary", "fairuse_mode": "contact"}
    operator.play("backtest", "enforce", fairuse_backtest=report, fairuse_backtest_days=0.1, **step)
    told = (Path(report) / "hasty/index.html").read_text()
    assert "would have been written to" in told
    case = operator.until("a case", lambda: cases(operator))[0]
    assert (case["tenant"], case["resource"], case["host"]) == (HOG, "cpu", operator.node.name)
    mail = operator.until("the mail", lambda: letters(operator.controller))
    for said in ("Hog Ltd", "fair share", "waited"):
        assert said in mail
    assert held(operator.node) == [], "nobody is limited before its ring may"


def test_a_ring_that_may_enforce_limits_who_was_written_to(operator: Operator) -> None:
    operator.play(
        "enforce",
        fairuse_backtest=str(operator.folder / "backtest"),
        fairuse_ring="canary",
        fairuse_mode="enforce",
    )
    # Told at first that nothing is limited, the customer is written to anew and has time again.
    (limit,) = operator.until("a limit", lambda: held(operator.node), seconds=80)
    assert limit["tenant"] == HOG
    assert "That is different now." in " ".join(letters(operator.controller).split())
    assert quota(operator.node) != "infinity"
    assert [ring["mode"] for ring in operator.api("/gate")["rings"]] == [
        "enforce",
        *["observe"] * 4,
    ]


def test_the_sandboxes_are_tight_and_nothing_was_denied_in_them(operator: Operator) -> None:
    for program, most in sandbox.MOST_EXPOSED.items():
        assert sandbox.score(host_of(program, operator), program) <= most
    for program in sandbox.ALLOWED_CAPABILITIES:
        sandbox.assert_unprivileged(host_of(program, operator), program)
    assert [line for host in operator.hosts for line in sandbox.denials(host)] == []


def test_uninstalling_lifts_everything_and_leaves_the_hosts_as_they_were(
    operator: Operator, before: dict[str, AsFound], tenants: tuple[str, ...]
) -> None:
    operator.play("uninstall", fairuse_uninstall=True)
    assert quota(operator.node) == "infinity"
    operator.node.run(f"systemctl stop {' '.join(map(unit_of, tenants))}")
    operator.node.run("rm /usr/local/lib/busy.py /usr/local/lib/modest.py")
    for host in operator.hosts:
        found, was = AsFound.now(host), before[host.name]
        assert found.files - was.files == set()
        assert was.files - found.files == set()
        assert found.units == was.units
        assert asfound.traces(host) == ""


def sees(operator: Operator, tenants: tuple[str, ...]) -> float:
    """When the host last reported, if it reported all of these."""
    found = {line["tenant"] for line in operator.api("/tenants")["tenants"]}
    return last_report_at(operator) if found >= set(tenants) else 0.0


def last_report_at(operator: Operator) -> float:
    at: float = operator.api(f"/hosts/{operator.node.name}")["host"]["last_report_at"]
    return at


def host_of(program: str, operator: Operator) -> Host:
    return operator.controller if program == "controller" else operator.node


def running_versions(operator: Operator) -> set[str]:
    """Of all programs everywhere, by their processes, whatever the links say."""
    running = [(node, program) for node in operator.nodes for program in ("agent", "limiter")]
    found = set()
    for host, program in [*running, (operator.controller, "controller")]:
        show = f"systemctl show --property=MainPID --value fairuse-{program}"
        command = host.run(f"tr '\\0' ' ' </proc/$({show})/cmdline").stdout
        found.add(command.removeprefix("/opt/fairuse/").split("/")[0])
    return found


def missing_reports(host: Host) -> list[int]:
    """Numbers that are missing among the stored reports of a series, which an agent's start begins.

    An agent that stops has its last ones on disk; `lost_reports` counts those that it dropped.
    """
    script = (
        "import sqlite3\n"
        "rows = sqlite3.connect('file:/var/lib/fairuse-controller/fairuse.db?mode=ro', uri=True)"
        ".execute('select spool, sequence from reports order by spool, sequence').fetchall()\n"
        "print([b[1] for a, b in zip(rows, rows[1:]) if a[0] == b[0] and b[1] != a[1] + 1])\n"
    )
    found: list[int] = json.loads(host.run("python3 -", stdin=script).stdout)
    return found


def cases(operator: Operator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = operator.api("/cases")["cases"]
    return found


def letters(host: Host) -> str:
    return host.run(f"cat /var/mail/{MAILED_TO}", check=False).stdout


def held(host: Host) -> list[dict[str, Any]]:
    """What the limiter holds now; nothing while it is starting."""
    asked = host.run("fairuse-limiter status --json", check=False)
    found: list[dict[str, Any]] = json.loads(asked.stdout or "{}").get("held", [])
    return found


def quota(host: Host) -> str:
    show = f"systemctl show --property=CPUQuotaPerSecUSec --value {unit_of(HOG)}"
    return host.run(show).stdout.strip()
