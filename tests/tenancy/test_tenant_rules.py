"""The pattern language of `[[tenants]]` and who wins when several rules fit."""

from __future__ import annotations

import pytest

from fairuse_agent.settings import AgentSettings, TenantRule
from fairuse_agent.tenancy.owner import Owner
from fairuse_agent.tenancy.rules import TenantRules
from fairuse_protocol.settings import SettingsError


def rules(*tenants: TenantRule, weights: dict[str, float] | None = None) -> TenantRules:
    return TenantRules(AgentSettings(tenants=tenants, weights=weights or {}))


def tenant_of_cgroup(pattern: str, path: str) -> str | None:
    owner = rules(TenantRule(cgroup=pattern)).owner_of_cgroup(path)
    return owner.tenant if owner else None


@pytest.mark.parametrize(
    ("pattern", "path", "tenant"),
    [
        pytest.param("/qemu.slice/{tenant}.scope", "/qemu.slice/101.scope", "101", id="proxmox"),
        pytest.param("qemu.slice/{tenant}.scope", "/qemu.slice/7.scope", "7", id="no-slash"),
        pytest.param("/lxc/{tenant}", "/lxc/a/b", None, id="one-component-only"),
        pytest.param("/lxc/{tenant}", "/lxc", None, id="parent-is-not-it"),
        pytest.param(
            "/machine.slice/machine-qemu\\x2d*\\x2d{tenant}.scope",
            "/machine.slice/machine-qemu\\x2d3\\x2dshop\\x2dtwo.scope",
            "shop\\x2dtwo",
            id="libvirt-name-with-a-dash",
        ),
        pytest.param(
            "/kubepods.slice/**/kubepods-*pod{tenant}.slice",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podab_1.slice",
            "ab_1",
            id="any-components",
        ),
        pytest.param(
            "/kubepods.slice/**/kubepods-*pod{tenant}.slice",
            "/kubepods.slice/kubepods-podab.slice",
            "ab",
            id="any-components-may-be-none",
        ),
        pytest.param("/a.b/{tenant}", "/aXb/t", None, id="a-dot-is-a-dot"),
    ],
)
def test_a_cgroup_pattern_captures_the_tenant_or_nothing(
    pattern: str, path: str, tenant: str | None
) -> None:
    assert tenant_of_cgroup(pattern, path) == tenant


@pytest.mark.parametrize(
    ("pattern", "name", "tenant"),
    [
        pytest.param("tap{tenant}i*", "tap100i0", "100", id="proxmox"),
        pytest.param("tap{tenant}i*", "tap100i1i2", "100", id="left-part-is-shortest"),
        pytest.param("veth-{tenant}", "veth-shop", "shop", id="whole-rest"),
        pytest.param("veth-{tenant}", "veth-", None, id="a-name-is-never-empty"),
        pytest.param("tap{tenant}", "eth0", None, id="other"),
    ],
)
def test_an_interface_pattern_captures_the_tenant_or_nothing(
    pattern: str, name: str, tenant: str | None
) -> None:
    owner = rules(TenantRule(interfaces=(pattern,))).owner_of_interface(name)
    assert (owner.tenant if owner else None) == tenant


def test_the_first_rule_that_fits_wins() -> None:
    both = rules(
        TenantRule(cgroup="/lxc/big-{tenant}", weight=4), TenantRule(cgroup="/lxc/{tenant}")
    )
    big, small = "/lxc/big-{tenant}", "/lxc/{tenant}"
    assert both.owner_of_cgroup("/lxc/big-shop") == Owner("shop", 4, 0, "tenants[0]", big)
    assert both.owner_of_cgroup("/lxc/small") == Owner("small", 1, 1, "tenants[1]", small)


def test_a_tenants_own_weight_goes_over_its_rules() -> None:
    one = rules(TenantRule(cgroup="/lxc/{tenant}", weight=2), weights={"shop": 8})
    owner = one.owner_of_cgroup("/lxc/shop")
    assert owner is not None
    assert owner.weight == 8


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        pytest.param(
            TenantRule(cgroup="/lxc/{tenant}", interfaces=("veth*",)),
            'tenants[0].interfaces: expected {tenant} in it once, found "veth*"',
            id="interface-of-nobody",
        ),
        pytest.param(
            TenantRule(cgroup="/{tenant}/{tenant}"),
            'tenants[0].cgroup: expected {tenant} in it once, found "/{tenant}/{tenant}"',
            id="twice",
        ),
        pytest.param(
            TenantRule(cgroup="/{user}/{tenant}"), "tenants[0].cgroup: found {user}", id="name"
        ),
        pytest.param(TenantRule(cgroup="/a**/{tenant}"), "whole path component", id="stars"),
        pytest.param(TenantRule(cgroup="/a//{tenant}"), 'one "/" between', id="slashes"),
        pytest.param(
            TenantRule(interfaces=("a/{tenant}",)), "expected an interface name", id="path"
        ),
        pytest.param(TenantRule(cgroup="/a{/{tenant}"), "found {", id="open-brace"),
    ],
)
def test_a_bad_pattern_is_refused_by_name(rule: TenantRule, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        rules(rule)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", True),
        ("/a", True),
        ("/b", False),
        ("/a/x", False),
        ("/k", True),
        ("/k/any/depth", True),
    ],
)
def test_only_folders_that_can_lead_to_a_tenant_are_walked(path: str, expected: bool) -> None:
    walked = rules(TenantRule(cgroup="/a/{tenant}"), TenantRule(cgroup="/k/**/pod{tenant}"))
    assert walked.may_own_below(path) is expected
