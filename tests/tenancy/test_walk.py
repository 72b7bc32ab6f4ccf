"""Which cgroups count, and that changes are seen at the next look."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fairuse_agent.settings import AgentSettings, TenantRule
from fairuse_agent.tenancy.ownership import Ownership
from fairuse_agent.tenancy.walk import TenantCgroups


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).mkdir(parents=True)


def look(patterns: tuple[str, ...], *roots: Path) -> TenantCgroups:
    settings = AgentSettings(tenants=tuple(TenantRule(cgroup=text) for text in patterns))
    return TenantCgroups(Ownership(settings), roots)


def found(cgroups: TenantCgroups) -> dict[str, str]:
    return {path: owner.tenant for path, owner in cgroups.owners.items()}


def test_a_cgroup_below_a_tenants_cgroup_is_not_counted_again(tmp_path: Path) -> None:
    make(tmp_path, "user-a/user-b", "other/user-c")
    cgroups = look(("/**/user-{tenant}",), tmp_path)
    assert cgroups.refresh()
    assert found(cgroups) == {"/user-a": "a", "/other/user-c": "c"}


def test_the_outermost_match_wins_over_an_earlier_rule_further_in(tmp_path: Path) -> None:
    make(tmp_path, "a/inner")
    cgroups = look(("/a/{tenant}", "/{tenant}"), tmp_path)
    cgroups.refresh()
    assert found(cgroups) == {"/a": "a"}


def test_what_comes_and_goes_is_known_at_the_next_look(tmp_path: Path) -> None:
    make(tmp_path, "lxc/a")
    cgroups = look(("/lxc/{tenant}",), tmp_path)
    cgroups.refresh()
    assert not cgroups.refresh(), "nothing changed"
    make(tmp_path, "lxc/b")
    assert cgroups.refresh()
    assert found(cgroups) == {"/lxc/a": "a", "/lxc/b": "b"}
    (tmp_path / "lxc/a").rmdir()
    assert cgroups.refresh()
    assert found(cgroups) == {"/lxc/b": "b"}
    (tmp_path / "lxc/b").rmdir()
    (tmp_path / "lxc").rmdir()
    assert cgroups.refresh()
    assert found(cgroups) == {}


def test_a_folder_that_appears_later_is_walked(tmp_path: Path) -> None:
    cgroups = look(("/pods/*/pod{tenant}",), tmp_path)
    assert not cgroups.refresh() or found(cgroups) == {}
    make(tmp_path, "pods/burstable/pod1")
    assert cgroups.refresh()
    assert found(cgroups) == {"/pods/burstable/pod1": "1"}


def test_a_cgroup_in_several_hierarchies_is_one(tmp_path: Path) -> None:
    make(tmp_path, "v2/lxc/a", "v1/lxc/a", "v1/lxc/only-v1")
    cgroups = look(("/lxc/{tenant}",), tmp_path / "v2", tmp_path / "v1")
    cgroups.refresh()
    assert found(cgroups) == {"/lxc/a": "a", "/lxc/only-v1": "only-v1"}


def test_files_and_links_are_no_cgroups(tmp_path: Path) -> None:
    make(tmp_path, "lxc/a")
    (tmp_path / "lxc/cgroup.procs").touch()
    (tmp_path / "lxc/link").symlink_to(tmp_path / "lxc/a")
    cgroups = look(("/lxc/{tenant}",), tmp_path)
    cgroups.refresh()
    assert found(cgroups) == {"/lxc/a": "a"}


def test_folders_that_no_rule_reaches_are_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "lxc/a/deep/er", "system.slice/unit")
    listed = []
    real = os.listdir

    def listdir(path: str) -> list[str]:
        listed.append(path.removeprefix(str(tmp_path)))
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    look(("/lxc/{tenant}",), tmp_path).refresh()
    assert listed == ["", "/lxc"]


def test_without_cgroup_rules_nothing_is_looked_at(tmp_path: Path) -> None:
    settings = AgentSettings(tenants=(TenantRule(interfaces=("tap{tenant}",)),))
    cgroups = TenantCgroups(Ownership(settings), (tmp_path / "absent",))
    assert not cgroups.refresh()
