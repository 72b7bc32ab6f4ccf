"""Network use of tenants without an interface: from systemd's counters, never more than it was."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fairuse_agent.sampling import ipaccounting
from fairuse_agent.sampling.ipaccounting import IpAccounting, IpCounters, unit_of
from fairuse_agent.sampling.socketuse import Loopback, SocketUse
from tests.sampling.bus import OFF, bus

ANNA = "/user.slice/user-1001.slice"
SHOP = "/system.slice/php-fpm@shop.service"


def lo(moved: int) -> Loopback:
    return Loopback(moved, moved // 1000)


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        (ANNA, "user-1001.slice"),
        (SHOP, "php-fpm@shop.service"),
        ("/machine.slice/shop.scope", "shop.scope"),
        ("/user.slice/user-1001.slice/user@1001.service/app.slice/x.service", ""),
        ("/lxc/shop", ""),
        ("/system.slice/php.service/pool", ""),
    ],
)
def test_only_units_of_the_hosts_own_systemd_are_asked_for(cgroup: str, unit: str) -> None:
    assert unit_of(cgroup) == unit


async def test_counters_come_by_cgroup(tmp_path: Path) -> None:
    async with bus(tmp_path) as (system, socket):
        system.unit("user_2d1001_2eslice", 5000, 7000)
        system.unit("php_2dfpm_40shop_2eservice", OFF, OFF)
        accounting = IpAccounting(socket)
        found = await accounting.read([ANNA, SHOP, "/user.slice/user-9.slice", "/lxc/shop"])
        assert found == {ANNA: IpCounters(5000, 7000, 5, 7), SHOP: None}
        assert accounting.trouble == ""
        accounting.close()


async def test_many_units_are_asked_at_once_within_what_the_bus_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The bus here is Python too, and how fast that is on a busy machine is not the question.
    monkeypatch.setattr(ipaccounting, "_LONGEST_SECONDS", 60.0)
    async with bus(tmp_path) as (system, socket):
        for number in range(300):
            system.unit(f"user_2d{number}_2eslice", number, number)
        accounting = IpAccounting(socket)
        for _ in range(2):
            found = await accounting.read([f"/user.slice/user-{n}.slice" for n in range(300)])
            assert found is not None
            assert [each.in_bytes for each in found.values() if each] == list(range(300))
        assert 1 < system.most_under_way < 128
        assert system.connections == 1
        accounting.close()


async def test_a_bus_that_hangs_costs_a_bounded_time_once_and_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ipaccounting, "_LONGEST_SECONDS", 0.05)
    async with bus(tmp_path) as (system, socket):
        system.unit("user_2d1001_2eslice", 5000, 7000)
        system.silent = True
        accounting = IpAccounting(socket)
        async with asyncio.timeout(5):
            assert await accounting.read([ANNA]) is None
            assert "0.05 s" in accounting.trouble
            assert await accounting.read([ANNA]) is None
        assert system.connections == 1, "it is left alone for a while"
        system.silent = False
        monkeypatch.setattr(accounting, "_rests_until", 0.0)
        assert await accounting.read([ANNA]) == {ANNA: IpCounters(5000, 7000, 5, 7)}
        accounting.close()


async def test_a_host_without_a_bus_is_told(tmp_path: Path) -> None:
    accounting = IpAccounting(tmp_path / "not-there")
    assert await accounting.read([ANNA]) is None
    assert "No such file" in accounting.trouble
    assert await accounting.read(["/lxc/shop"]) == {}, "who needs no bus misses none"
    assert accounting.trouble == ""


def used(
    sockets: SocketUse,
    readings: dict[str, IpCounters | None] | None,
    loopback: tuple[int, int] = (0, 0),
    trouble: str = "",
) -> IpCounters | None:
    """Anna's use, with the loopback's counters before and after the reading."""
    sockets.take(readings, trouble, lo(loopback[0]), lo(loopback[1]))
    return sockets.usage().get("anna")


def watched(*cgroups: str) -> SocketUse:
    sockets = SocketUse()
    sockets.arrange({"anna": cgroups})
    first: dict[str, IpCounters | None] = {path: IpCounters(1000, 1000, 1, 1) for path in cgroups}
    assert used(sockets, first) == IpCounters(), "what was moved before is nobody's interval"
    return sockets


def test_a_tenants_units_add_up() -> None:
    sockets = watched(ANNA, SHOP)
    assert used(
        sockets, {ANNA: IpCounters(4000, 6000, 4, 6), SHOP: IpCounters(1500, 1000, 2, 1)}
    ) == IpCounters(3500, 5000, 4, 5)
    assert sockets.notes() == []


def test_what_may_have_been_loopback_is_not_counted() -> None:
    sockets = watched(ANNA)
    assert used(
        sockets, {ANNA: IpCounters(901_000, 51_000, 901, 51)}, (50_000, 60_000)
    ) == IpCounters(840_000, 0, 840, 0)
    assert any("loopback" in note for note in sockets.notes())


def test_loopback_counts_from_before_the_last_reading_to_after_this_one() -> None:
    """The two counters are not read in one moment: what moved in between must not be left over."""
    sockets = watched(ANNA)
    assert used(sockets, {ANNA: IpCounters(1000, 1000, 1, 1)}, (5_000, 9_000)) == IpCounters()
    assert used(sockets, {ANNA: IpCounters(5000, 5000, 5, 5)}, (9_000, 9_000)) == IpCounters()
    assert used(sockets, {ANNA: IpCounters(6000, 6000, 6, 6)}, (9_000, 9_000)) == IpCounters(
        1000, 1000, 1, 1
    )


def test_a_unit_that_started_anew_counts_from_zero() -> None:
    sockets = watched(ANNA)
    assert used(sockets, {ANNA: IpCounters(400, 300, 1, 1)}) == IpCounters(400, 300, 1, 1)


def test_accounting_that_is_off_is_told_and_counts_from_when_it_is_on() -> None:
    sockets = watched(ANNA)
    assert used(sockets, {ANNA: None}) == IpCounters()
    assert any(f"first {ANNA}" in note and "IPAccounting" in note for note in sockets.notes())
    assert used(sockets, {ANNA: IpCounters(9000, 9000, 9, 9)}) == IpCounters()
    assert used(sockets, {ANNA: IpCounters(9500, 9000, 10, 9)}) == IpCounters(500, 0, 1, 0)


def test_what_moved_while_the_bus_was_silent_belongs_to_no_interval() -> None:
    sockets = watched(ANNA)
    assert used(sockets, None, trouble="no answer within 1.0 s") is None
    assert any("no answer" in note for note in sockets.notes())
    assert used(sockets, {ANNA: IpCounters(9000, 9000, 9, 9)}) == IpCounters()


def test_a_unit_that_was_another_tenants_does_not_bring_its_past() -> None:
    sockets = watched(ANNA)
    sockets.arrange({"anna": (ANNA, SHOP)})
    assert (
        used(sockets, {ANNA: IpCounters(1000, 1000, 1, 1), SHOP: IpCounters(10**9, 10**9, 1, 1)})
        == IpCounters()
    )
