"""Slices of the operator's own, and users; and what waits for nobody's answer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fairuse_agent.settings import AgentSettings
from fairuse_agent.tenancy.discovery.lookup import Lookup
from fairuse_agent.tenancy.discovery.slices import Slices, slice_path
from fairuse_agent.tenancy.discovery.users import Users, user_name
from fairuse_protocol.settings import SettingsError, parse_settings
from tests.tenancy.discovery.trees import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "cgroup")


def test_a_slices_cgroup_is_below_those_that_its_name_begins_with() -> None:
    assert slice_path("customers.slice") == "/customers.slice"
    assert slice_path("web-shared-eu.slice") == ("/web.slice/web-shared.slice/web-shared-eu.slice")


def test_every_unit_straight_below_a_parent_slice_is_a_tenant(tree: Tree) -> None:
    tree.make(
        "customers.slice/customers-acme.slice/web.service",
        r"customers.slice/customers-big\x2dcorp.slice",
        "customers.slice/blog.service",
        "customers.slice/not-a-unit",
        "web.slice/web-shared.slice/web-shared-zed.slice",
        "web.slice/web-other.slice",
    )
    tree.make("customers.slice/customers-acme.slice", cpu_weight=400)
    tree.switch_on(Slices(("customers.slice", "web-shared.slice"), tree.shares))
    assert sorted(tree.look().values()) == ["acme", "big-corp", "blog", "zed"]
    assert tree.weight("acme") == 4
    assert "customers-acme.slice in customers.slice" in (
        tree.owner("/customers.slice/customers-acme.slice").why
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('discover = ["slices"]', "expected at least one slice"),
        (
            'discover = ["slices"]\n[discovery]\nparent_slices = ["/customers"]',
            'names of slices such as "customers.slice"',
        ),
        ('discover = ["libvrt"]', 'expected one of "docker", "kubernetes", "libvirt"'),
    ],
)
def test_what_cannot_be_discovered_is_refused_with_what_can(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings(text, AgentSettings, source="agent.toml")
    assert message in str(error.value)


def test_people_are_tenants_by_name_and_system_users_are_not(tree: Tree) -> None:
    names = Lookup({"1000": "anna", "1001": "bo", "0": "root", "999": "backup"}.get)
    tree.make(*(f"user.slice/user-{uid}.slice" for uid in (0, 999, 1000, 1001, 1234, 65534)))
    tree.make("user.slice/user-1001.slice", cpu_weight=50)
    tree.switch_on(Users(tree.shares, names))
    tree.look()
    assert sorted(tree.look().values()) == ["anna", "bo"]
    assert tree.weight("bo") == 0.5
    assert "nobody tells" in tree.ownership.why_not("/user.slice/user-1234.slice")
    tree.ownership.close()


def test_the_systems_own_names_are_asked_by_default() -> None:
    assert user_name("0") == "root"
    assert user_name("4000000001") is None


def test_a_name_service_that_hangs_holds_up_one_round_a_moment_and_is_told(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def slowly(uid: str) -> str:
        answers.wait(30)
        return f"user{uid}"

    names = Lookup(slowly)
    waits: list[float | None] = []
    wait = names._settled.wait

    def noted_wait(timeout: float | None = None) -> bool:
        waits.append(timeout)
        return wait(timeout)

    monkeypatch.setattr(names._settled, "wait", noted_wait)
    tree.make(*(f"user.slice/user-{uid}.slice" for uid in range(1000, 1100)))
    users = Users(tree.shares, names)
    tree.switch_on(users)
    assert tree.look() == {}
    assert waits == [0.05], "a hundred users wait no longer than one"
    monkeypatch.setattr("time.monotonic", lambda: 1e9)
    (note,) = users.notes()
    assert "no name for a uid" in note
    monkeypatch.undo()
    answers.set()
    names.close()
    assert names._thread is not None
    names._thread.join(10)
    assert len(tree.look()) == 100
    assert not users.notes()


def test_an_answer_that_changed_is_news_and_one_that_did_not_is_none() -> None:
    cores = {"101": 2}
    lookup = Lookup(cores.get)
    while lookup.get("101") is None:
        pass
    assert lookup.news()
    for now, changed in ((2, False), (4, True)):
        cores["101"] = now
        lookup.read_again()
        while lookup._asked:
            pass
        assert lookup.news() is changed
    assert lookup.get("101") == 4
    lookup.close()


def test_a_key_without_an_answer_says_why_when_there_was_an_error() -> None:
    def refused(key: str) -> str:
        raise PermissionError(13, "Permission denied", f"/etc/pve/qemu-server/{key}.conf")

    lookup = Lookup(refused)
    lookup.get("7")
    while lookup._asked:
        pass
    assert lookup.get("7") is None
    assert lookup.trouble == "/etc/pve/qemu-server/7.conf: Permission denied"
    lookup.close()
