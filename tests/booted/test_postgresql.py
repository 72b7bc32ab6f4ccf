"""A controller on the PostgreSQL that its role sets up. The tests follow one another."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest

from tests.booted import sandbox
from tests.rollout import packages, provider
from tests.rollout.operator import Operator, ansible_programs
from tests.testhost import network
from tests.testhost.image import Image

# A rollout on an emulated host takes longer than most tests of this folder.
pytestmark = pytest.mark.timeout(1800, func_only=True)


@pytest.fixture(scope="module")
def operator(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator with a package for two versions, and a host that is to be everything."""
    built = packages.built(("0.1.0", "0.2.0"))
    with network.lan(image, ["node1"]) as (host,):
        provider.prepare(host)
        folder = tmp_path_factory.mktemp("operator")
        made = Operator(folder, [host], ansible_programs(), built)
        made.variables["fairuse_controller_postgresql"] = True
        yield made


def test_check_mode_makes_no_database(operator: Operator) -> None:
    operator.play("controller", "--check")
    assert operator.controller.run("systemctl is-active postgresql", check=False).returncode != 0


def test_the_controller_keeps_everything_in_a_database_of_its_own(operator: Operator) -> None:
    operator.play("controller", "rollout")
    operator.until("a stored report", lambda: int(asked(operator, "count(*) FROM reports")))
    owner = "pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'fairuse'"
    assert asked(operator, owner) == "fairuse-controller"
    assert operator.controller.run("ls /var/lib/fairuse-controller").stdout.split() == [
        "link-secret"
    ]
    assert sandbox.denials(operator.controller) == []


def test_a_second_play_changes_nothing(operator: Operator) -> None:
    assert operator.play("controller").changed == 0


def test_a_database_that_was_away_is_used_again_and_no_report_is_lost(operator: Operator) -> None:
    host = operator.controller
    host.run("systemctl stop postgresql")
    operator.until("a controller without its database", lambda: hosts(operator) is None)
    host.run("systemctl start postgresql")
    operator.until("a controller that answers", lambda: hosts(operator))
    before = hosts(operator)[0]["last_report_at"]
    operator.until("a report again", lambda: hosts(operator)[0]["last_report_at"] > before)
    gaps = (
        "count(*) FROM (SELECT sequence - lag(sequence) OVER (PARTITION BY spool ORDER BY sequence)"
        " AS step FROM reports) AS steps WHERE step <> 1"
    )
    assert asked(operator, gaps) == "0"


def test_another_version_meets_the_database_after_a_dump_of_it(operator: Operator) -> None:
    operator.variables["fairuse_install_version"] = "0.2.0"
    operator.play("controller")
    assert operator.api("/gate")["version"] == "0.2.0"
    dump = "/var/lib/fairuse-controller/before-0.2.0.dump"
    assert "TABLE DATA public reports" in operator.controller.run(f"pg_restore -l {dump}").stdout


def test_uninstalling_takes_the_database_and_leaves_the_server(operator: Operator) -> None:
    operator.play("uninstall", fairuse_uninstall=True)
    assert asked(operator, "count(*) FROM pg_database WHERE datname = 'fairuse'", "postgres") == "0"
    users = "count(*) FROM pg_roles WHERE rolname = 'fairuse-controller'"
    assert asked(operator, users, "postgres") == "0"
    assert (
        operator.controller.run("ls -d /var/lib/fairuse-* /opt/fairuse", check=False).stdout == ""
    )


def asked(operator: Operator, select: str, database: str = "fairuse") -> str:
    """What the server's own user is told."""
    psql = f'runuser -u postgres -- psql -d {database} -tAc "SELECT {select}"'
    return operator.controller.run(f"cd / && {psql}").stdout.strip()


def hosts(operator: Operator) -> Any:
    """Those that the controller knows; None if it does not answer."""
    try:
        return operator.api("/hosts")["hosts"]
    except (OSError, urllib.error.HTTPError):
        return None
