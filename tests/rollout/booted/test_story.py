"""From an empty host to a watched one, and back to what it was, by playbooks alone.

The tests follow one another on one host.
"""

from __future__ import annotations

import pytest

from tests.rollout.operator import Operator

# What lives by itself on any host, or is a package manager's or an account's own backup.
_ALIVE = (
    "/var/log",
    "/var/cache",
    "/var/lib/systemd",
    "/root/.ansible",
    "/etc/passwd-",
    "/etc/shadow-",
)
_ALIVE += ("/etc/group-", "/etc/gshadow-", "/etc/subuid", "/etc/subgid", "/var/lib/postfix")
_LISTED = (
    "find /etc /opt /usr /var /root -xdev \\( -type f -o -type l -o -type d \\)"
    " -printf '%p %y %m %U %G %l\\n'"
)
_UNITS = "systemctl list-units --all --no-legend --plain | awk '{print $1, $2, $3}'"


def files(operator: Operator) -> set[str]:
    listed = operator.host.run(_LISTED, timeout_seconds=300).stdout.splitlines()
    return {line for line in listed if not line.startswith(_ALIVE)}


def units(operator: Operator) -> set[str]:
    return {line for line in operator.host.run(_UNITS).stdout.splitlines() if "fairuse" in line}


@pytest.fixture(scope="module")
def before(operator: Operator) -> set[str]:
    operator.host.run("mkdir -p /root/.ansible")
    return files(operator)


def test_check_mode_promises_changes_and_makes_none(operator: Operator, before: set[str]) -> None:
    played = operator.play("controller", "--check")
    assert played.changed > 5
    assert files(operator) == before


def test_the_controller_is_installed_and_a_second_run_changes_nothing(
    operator: Operator, before: set[str]
) -> None:
    operator.play("controller")
    assert operator.host.run("systemctl is-active fairuse-controller").stdout == "active\n"
    assert operator.play("controller").changed == 0
    assert operator.play("controller", "--check").changed == 0


def test_a_rollout_enrols_and_every_host_reports_and_is_only_watched(operator: Operator) -> None:
    played = operator.play("rollout")
    secret = operator.host.read("/var/lib/fairuse-agent/credential").strip()
    assert secret not in played.output
    assert (operator.folder / "token").read_text().strip() not in played.output
    (line,) = operator.api("/hosts")["hosts"]
    assert line["host"] == "node1"
    gate = operator.api("/gate")
    assert gate["reasons"] == []
    assert [ring["mode"] for ring in gate["rings"]] == ["observe"]


def test_a_second_rollout_changes_nothing(operator: Operator) -> None:
    assert operator.play("rollout").changed == 0


def test_enforcement_without_a_backtest_is_refused(operator: Operator) -> None:
    refused = operator.play("enforce", check=False, fairuse_ring="canary", fairuse_mode="contact")
    assert refused.status != 0
    assert "no ring goes further" in refused.output


def test_a_rotated_credential_replaces_the_old_one(operator: Operator) -> None:
    old = operator.host.read("/var/lib/fairuse-agent/credential")
    operator.play("rotate")
    assert operator.host.read("/var/lib/fairuse-agent/credential") != old
    refused = operator.host.run(
        "curl -s -o /dev/null -w '%{http_code}' --cacert /etc/fairuse/controller-ca.pem -X POST"
        f" -H 'Authorization: Bearer {old.strip()}' https://node1:8460/agent/v1/reports"
    )
    assert refused.stdout == "401"


def test_an_upgrade_loses_no_report(operator: Operator) -> None:
    operator.variables["fairuse_install_version"] = "0.2.0"
    operator.play("upgrade")
    assert operator.host.run("readlink /opt/fairuse/current").stdout == "0.2.0\n"
    assert gaps(operator) == []
    assert operator.api("/hosts/node1")["host"]["lost_reports"] == 0
    assert operator.api("/gate")["version"] == "0.2.0"


def gaps(operator: Operator) -> list[int]:
    """Numbers that are missing among the stored reports of a spool."""
    script = (
        "import sqlite3\n"
        "rows = sqlite3.connect('file:/var/lib/fairuse-controller/fairuse.db?mode=ro', uri=True)"
        ".execute('select spool, sequence from reports order by spool, sequence').fetchall()\n"
        "print([b[1] for a, b in zip(rows, rows[1:]) if a[0] == b[0] and b[1] != a[1] + 1])\n"
    )
    told = operator.host.run("/opt/fairuse/current/bin/python -", stdin=script).stdout
    found: list[int] = [int(number) for number in told.strip("[]\n").split(",") if number.strip()]
    return found


def test_going_back_takes_one_play(operator: Operator) -> None:
    operator.play("rollback")
    operator.variables["fairuse_install_version"] = "0.1.0"
    assert operator.host.run("readlink /opt/fairuse/current").stdout == "0.1.0\n"
    assert operator.host.run("systemctl is-active fairuse-agent fairuse-limiter").returncode == 0
    assert operator.api("/gate")["version"] == "0.1.0"


def test_uninstalling_leaves_the_host_as_it_was(operator: Operator, before: set[str]) -> None:
    operator.play("uninstall", fairuse_uninstall=True)
    after = files(operator)
    assert after - before == set()
    assert before - after == set()
    assert units(operator) == set()
