"""What is kept of looked-up tenants. The place is a double, for its faults; time is set."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.contact.directory import ContactDirectory
from controller.contact.sources import lookup as lookup_module
from controller.contact.sources.asking import AnswerUnusable, SourceAway
from controller.contact.sources.lookup import Lookup, kept_answer, pause_seconds
from controller.lookup_settings import Directory
from controller.tenants import Tenant
from fairuse_protocol.units import Duration

KEEP, STALE, UNKNOWN = 100.0, 1000.0, 10.0
TERMS = Directory(keep=Duration(KEEP), keep_stale=Duration(STALE), keep_unknown=Duration(UNKNOWN))
ANNA, BERIT = Tenant(name="Anna", plan="small"), Tenant(name="Berit", plan="large")


class Place:
    """Answers as told, at once or when `gate` is opened."""

    name = "the place"

    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {"a": ANNA}
        self.fault: Exception | None = None
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, tenant: str) -> Tenant | None:
        self.asked.append(tenant)
        await self.gate.wait()
        if self.fault:
            raise self.fault
        return self.tenants.get(tenant)

    async def close(self) -> None:
        pass


class Rig:
    def __init__(self) -> None:
        self.place = Place()
        self.now = 0.0
        self.lookup = Lookup(self.place, TERMS, lambda: self.now)

    async def settle(self) -> None:
        """Until the workers have nothing left that can be done."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    running = asyncio.create_task(rig.lookup.run())
    yield rig
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await rig.lookup.close()


async def test_a_report_gets_what_is_known_at_once_and_the_rest_is_asked_for_behind_it(
    rig: Rig,
) -> None:
    rig.place.gate.clear()
    assert rig.lookup.known("a") is None
    await rig.settle()
    assert rig.lookup.known("a") is None
    assert rig.place.asked == ["a"]
    rig.place.gate.set()
    await rig.settle()
    assert rig.lookup.known("a") == ANNA
    assert rig.place.asked == ["a"]


async def test_an_answer_is_used_for_its_time_and_then_asked_for_anew_while_it_goes_on_counting(
    rig: Rig,
) -> None:
    assert await rig.lookup.ask("a") == ANNA
    rig.place.tenants["a"] = BERIT
    rig.now = KEEP - 1
    assert await rig.lookup.ask("a") == ANNA
    rig.now = KEEP
    assert rig.lookup.known("a") == ANNA
    await rig.settle()
    assert rig.lookup.known("a") == BERIT


async def test_while_the_place_is_away_the_old_answer_counts_until_it_is_too_old(rig: Rig) -> None:
    await rig.lookup.ask("a")
    rig.place.fault = SourceAway("it burns")
    rig.now = KEEP + STALE - 1
    assert await rig.lookup.ask("a") == ANNA
    assert rig.lookup.known("a") == ANNA
    kept = rig.lookup.kept("a")
    assert kept is not None
    assert kept.answered_at == 0.0
    assert rig.lookup.is_stale(kept)
    rig.now = KEEP + STALE
    assert rig.lookup.known("a") is None
    with pytest.raises(SourceAway, match="it burns"):
        await rig.lookup.ask("a")


async def test_a_place_that_is_away_is_left_alone_for_a_while_and_told_of(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.place.fault = SourceAway("it burns")
    for tenant in ("a", "b", "c"):
        with pytest.raises(SourceAway, match="it burns"):
            await rig.lookup.ask(tenant)
        rig.lookup.known(tenant)
    await rig.settle()
    assert rig.place.asked == ["a"]
    assert "the place: it burns" in rig.lookup.problem
    rig.place.fault = None
    rig.now = pause_seconds(1)
    assert await rig.lookup.ask("a") == ANNA
    assert rig.lookup.problem == ""
    assert caplog.text.count("does not answer") == 1


async def test_that_there_is_no_such_tenant_is_believed_briefly(rig: Rig) -> None:
    assert await rig.lookup.ask("b") is None
    rig.place.tenants["b"] = BERIT
    rig.now = UNKNOWN - 1
    assert await rig.lookup.ask("b") is None
    rig.now = UNKNOWN
    assert await rig.lookup.ask("b") == BERIT


async def test_an_answer_that_cannot_be_used_is_not_taken_for_an_unknown_tenant(rig: Rig) -> None:
    rig.place.fault = AnswerUnusable("email: no")
    with pytest.raises(AnswerUnusable, match="email: no"):
        await rig.lookup.ask("b")
    with pytest.raises(AnswerUnusable, match="email: no"):
        await rig.lookup.ask("b")
    assert rig.place.asked == ["b"]
    assert rig.lookup.problem == ""


async def test_an_answer_that_cannot_be_used_leaves_what_was_known(rig: Rig) -> None:
    await rig.lookup.ask("a")
    rig.place.fault = AnswerUnusable("email: no")
    rig.now = KEEP
    assert await rig.lookup.ask("a") == ANNA
    assert rig.lookup.known("a") == ANNA


async def test_who_asks_for_the_same_at_once_is_answered_by_one_request(rig: Rig) -> None:
    rig.place.gate.clear()
    asking = [asyncio.create_task(rig.lookup.ask("a")) for _ in range(5)]
    await rig.settle()
    asking[0].cancel()
    rig.place.gate.set()
    assert await asyncio.gather(*asking[1:]) == [ANNA] * 4
    assert rig.place.asked == ["a"]


async def test_no_more_is_kept_than_there_is_room_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_module, "MOST_KEPT", 3)
    for tenant in ("a", "b", "c", "a", "d"):
        rig.now += KEEP
        await rig.lookup.ask(tenant)
    assert [name for name in "abcd" if rig.lookup.kept(name)] == ["a", "c", "d"]


async def test_a_fault_of_our_own_ends_no_worker(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.place.fault = RuntimeError("a bug")
    for tenant in "abcdefgh":
        rig.lookup.known(tenant)
    await rig.settle()
    assert "a bug" in caplog.text
    rig.place.fault, rig.now = None, KEEP
    rig.lookup.known("a")
    await rig.settle()
    assert rig.lookup.known("a") == ANNA


async def test_the_file_comes_before_what_is_looked_up_and_asks_for_nothing(
    rig: Rig, tmp_path: Path
) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text('[tenants.a]\nplan = "own"\n')
    directory = ContactDirectory(path, lookup=rig.lookup)
    assert directory.plan_of("a") == "own"
    found = await directory.find("a")
    await rig.settle()
    assert found is not None
    assert found.plan == "own"
    assert rig.place.asked == []
    told = await directory.listings("a")
    assert [(each.source, each.entry.plan) for each in told.found] == [
        ("tenants_file", "own"),
        ("looked-up", "small"),
    ]


@given(st.booleans(), st.floats(0, 1e9))
def test_an_answer_is_asked_for_anew_before_it_stops_counting(found: bool, now: float) -> None:
    kept = kept_answer(ANNA if found else None, TERMS, now)
    assert now < kept.ask_again_at <= kept.good_until


@given(st.integers(1, 10_000))
def test_pauses_grow_and_have_an_end(failures: int) -> None:
    assert 5.0 <= pause_seconds(failures) <= pause_seconds(failures + 1) <= 60.0
