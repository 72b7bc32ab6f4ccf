"""What `fairuse-agent tenants` says: whose everything is and why, and what is nobody's."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from fairuse_agent.reporting.inventory import (
    FoundTenant,
    Inventory,
    Part,
    UnownedCgroup,
    UnownedInterface,
    found_tenants,
)
from fairuse_agent.reporting.inventory_tables import print_inventory
from fairuse_agent.sampling.attribution import Attribution
from fairuse_agent.sampling.hierarchy import Hierarchies
from fairuse_agent.sampling.netlink import RouteSocket
from fairuse_agent.sampling.unowned import unowned_cpu_seconds
from fairuse_agent.settings import AgentSettings, Discovery, TenantRule

SCOPE = r"/machine.slice/machine-qemu\x2d3\x2dweb\x2d1.scope"
FOUND = Inventory(
    tenants=(
        FoundTenant(
            tenant="8a6f0c3e1d5b4b0f9d1e2c3b4a596877",
            weight=6.0,
            cgroups=(
                Part(name=SCOPE, source="libvirt", why="project acme, domain web-1; 2 vCPUs"),
            ),
            interfaces=(Part(name="tap4f1c2d3e-0b", source="libvirt", why="domain web-1"),),
        ),
        FoundTenant(
            tenant="[red]blog\x1b[2J",
            weight=0.5,
            cgroups=(Part(name="/lxc/blog", source="tenants[0]", why="/lxc/{tenant}"),),
            interfaces=(),
        ),
    ),
    unowned_cgroups=(UnownedCgroup(path="/system.slice/ssh.service", cpu_cores=0.256, why=""),),
    unowned_interfaces=(UnownedInterface(name="br0", why="a bridge"),),
    notes=("libvirt has not answered for 12 s",),
)


def printed(inventory: Inventory, width: int) -> str:
    out = io.StringIO()
    print_inventory(inventory, Console(file=out, width=width, force_terminal=False))
    return out.getvalue()


def test_the_table_says_who_what_and_why() -> None:
    text = printed(FOUND, 200)
    for words in (
        "2 tenants",
        "8a6f0c3e1d5b4b0f9d1e2c3b4a596877",
        SCOPE,
        "tap4f1c2d3e-0b",
        "project acme, domain web-1; 2 vCPUs",
        "tenants[0]",
        "0.26",
        "a bridge",
        "note: libvirt has not answered for 12 s",
    ):
        assert words in text


def test_strangers_names_reach_the_terminal_as_plain_text() -> None:
    text = printed(FOUND, 200)
    assert "[red]blog?[2J" in text
    assert "\x1b" not in text


def test_nothing_is_cut_off_on_a_narrow_terminal() -> None:
    text = printed(FOUND, 80).replace("\n", "").replace(" ", "")
    assert max(len(line) for line in printed(FOUND, 80).splitlines()) <= 80
    assert text.index("8a6f") < text.index("tap4f1c2d3e-0b")
    assert all(piece in text for piece in ("achine-qemu", "x2d1", "596877"))


def test_nothing_found_says_what_was_looked_for() -> None:
    nothing = Inventory(tenants=(), unowned_cgroups=(), unowned_interfaces=(), notes=())
    assert "no [[tenants]] rule and no kind in discover" in printed(nothing, 200)


@pytest.fixture
def hierarchies(tmp_path: Path) -> Hierarchies:
    for path, used in {
        "lxc.payload.blog": 5,
        "lxc.payload.blog/init.scope": 5,
        "system.slice/ssh.service": 2,
        "system.slice/ssh.service/below": 1,
        "user.slice/user-1000.slice/session-1.scope": 3,
        "init.scope": 1,
        "empty.slice": 0,
    }.items():
        folder = tmp_path / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.stat").write_text(f"usage_usec {used * 10**6}\nuser_usec 0\n")
    (tmp_path / "user.slice/user-1000.slice/cpu.stat").write_text("usage_usec 4000000\n")
    return Hierarchies(tmp_path, None, None, None)


def test_what_nobody_owns_is_listed_a_line_a_unit(hierarchies: Hierarchies) -> None:
    assert unowned_cpu_seconds(hierarchies, {"/lxc.payload.blog"}) == {
        "/system.slice/ssh.service": 2,
        "/user.slice/user-1000.slice": 4,
        "/init.scope": 1,
        "/empty.slice": 0,
    }


def test_a_unit_with_a_tenant_inside_is_looked_into(hierarchies: Hierarchies) -> None:
    owned = {"/user.slice/user-1000.slice/session-1.scope"}
    assert "/user.slice/user-1000.slice" not in unowned_cpu_seconds(hierarchies, owned)


def test_found_tenants_have_their_weight_and_reasons(hierarchies: Hierarchies) -> None:
    settings = AgentSettings(
        discover=("lxc", "slices"),
        discovery=Discovery(parent_slices=("system.slice",)),
        tenants=(TenantRule(cgroup="/user.slice/{tenant}.slice", weight=3),),
    )
    route = RouteSocket()
    attribution = Attribution(settings, hierarchies, route)
    try:
        attribution.look({}.keys(), 0)
        found = {tenant.tenant: tenant for tenant in found_tenants(attribution)}
    finally:
        attribution.close()
        route.close()
    assert {name: tenant.weight for name, tenant in found.items()} == {
        "blog": 1,
        "ssh": 1,
        "user-1000": 3,
    }
    assert [part.source for part in found["user-1000"].cgroups] == ["tenants[0]"]
    assert "container blog" in found["blog"].cgroups[0].why


def test_the_command_answers_a_person_and_a_program(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("discover = []\n")
    command = [sys.executable, "-m", "fairuse_agent.main", "tenants", "--config", str(config)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "No tenants" in told.stdout
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["tenants"] == []
