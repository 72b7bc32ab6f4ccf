"""Pushed tenants over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from controller.contact.directory import ContactDirectory
from controller.contact.sources.changes import changes
from controller.contact.sources.pushed import NotAsExpected, NothingPushed, PushedTenants
from controller.storage import schema
from controller.storage.database import Database
from controller.tenants import Tenant, TenantContact
from tests.databases import database_in

NOW = 1_700_000_000.0
ANNA = Tenant(name="Anna", plan="small", contacts=(TenantContact(email=("anna@example.org",)),))
BERIT = Tenant(name="Berit", plan="large")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(database_in(tmp_path))
    yield opened
    await opened.close()


def pushed_in(database: Database) -> PushedTenants:
    return PushedTenants(database, lambda: NOW)


async def test_a_pushed_entry_is_there_at_once_and_after_a_restart(database: Database) -> None:
    pushed = pushed_in(database)
    await pushed.put("web42", ANNA, by="billing")
    again = pushed_in(database)
    await again.refresh()
    for each in (pushed, again):
        assert each.entry("web42") == ANNA
        told = each.pushed("web42")
        assert told is not None
        assert (told.at, told.by) == (NOW, "billing")


async def test_the_same_push_again_changes_nothing(database: Database) -> None:
    pushed = pushed_in(database)
    await pushed.put("web42", ANNA, by="billing")
    first = pushed.pushed("web42")
    await pushed.put("web42", ANNA, by="another")
    assert pushed.pushed("web42") == first
    await pushed.put("web42", BERIT, by="another")
    assert pushed.entry("web42") == BERIT
    assert pushed.pushed("web42") != first


async def test_another_controller_sees_pushes_and_removals_with_its_next_refresh(
    database: Database,
) -> None:
    one, other = pushed_in(database), pushed_in(database)
    await one.put("a", ANNA, by="billing")
    await one.put("b", BERIT, by="billing")
    await other.refresh()
    assert sorted(other.names()) == ["a", "b"]
    await one.remove("b", by="billing")
    await one.put("a", BERIT, by="billing")
    await other.refresh()
    assert list(other.names()) == ["a"]
    assert other.entry("a") == BERIT


async def test_what_was_removed_keeps_who_removed_it_and_no_person(database: Database) -> None:
    pushed = pushed_in(database)
    await pushed.put("web42", ANNA, by="billing")
    await pushed.remove("web42", by="otto")
    with pytest.raises(NothingPushed, match="web42"):
        await pushed.remove("web42", by="otto")
    async with database.read() as connection:
        (row,) = await connection.execute(sa.select(schema.pushed_tenants))
    assert (row.tenant, row.document, row.changed_by) == ("web42", None, "otto")


async def test_a_change_of_an_entry_that_changed_meanwhile_is_refused(database: Database) -> None:
    pushed = pushed_in(database)
    with pytest.raises(NotAsExpected, match="found no entry"):
        await pushed.put("web42", ANNA, by="billing", expected="*")
    await pushed.put("web42", ANNA, by="billing")
    told = pushed.pushed("web42")
    assert told is not None
    seen = f'"{told.revision}"'
    await pushed.put("web42", BERIT, by="otto", expected=seen)
    for change in (
        pushed.put("web42", ANNA, by="billing", expected=seen),
        pushed.remove("web42", by="billing", expected=seen),
    ):
        with pytest.raises(NotAsExpected, match="get the entry again"):
            await change
    assert pushed.entry("web42") == BERIT


async def test_many_are_taken_in_one_step_and_a_dry_run_only_tells(database: Database) -> None:
    pushed = pushed_in(database)
    await pushed.take(
        {"a": ANNA, "b": ANNA, "c": ANNA}, remove_missing=False, dry_run=False, by="x"
    )
    wanted = {"a": ANNA, "b": BERIT, "d": BERIT}
    told = await pushed.take(wanted, remove_missing=True, dry_run=True, by="x")
    assert sorted(pushed.names()) == ["a", "b", "c"]
    assert pushed.entry("b") == ANNA
    done = await pushed.take(wanted, remove_missing=True, dry_run=False, by="x")
    assert done == told
    assert (done.added, done.changed, done.removed, done.unchanged) == (("d",), ("b",), ("c",), 1)
    assert {name: pushed.entry(name) for name in pushed.names()} == wanted
    again = await pushed.take(wanted, remove_missing=True, dry_run=False, by="x")
    assert (again.added, again.changed, again.removed, again.unchanged) == ((), (), (), 3)


async def test_an_entry_that_this_version_cannot_read_is_named_and_harms_no_other(
    database: Database, tmp_path: Path
) -> None:
    pushed = pushed_in(database)
    await pushed.put("a", ANNA, by="billing")
    await pushed.put("b", BERIT, by="billing")
    async with database.write() as connection:
        await connection.execute(
            schema.pushed_tenants.update()
            .where(schema.pushed_tenants.c.tenant == "a")
            .values(document='{"planet": "mars"}')
        )
    read = pushed_in(database)
    await read.refresh()
    directory = ContactDirectory(None, pushed=read)
    assert directory.tenant("b") == BERIT
    assert directory.tenant("a") is None
    assert '"a"' in directory.problem
    assert "planet" in directory.problem
    await read.put("a", ANNA, by="billing")
    assert directory.problem == ""


_entries = st.dictionaries(
    st.sampled_from("abcdef"), st.sampled_from([ANNA, BERIT, Tenant()]), max_size=6
)


@given(before=_entries, wanted=_entries, remove_missing=st.booleans())
def test_what_is_told_to_change_leads_from_what_is_there_to_what_is_wanted(
    before: dict[str, Tenant], wanted: dict[str, Tenant], remove_missing: bool
) -> None:
    found = changes(before, wanted, remove_missing=remove_missing)
    after = {name: entry for name, entry in before.items() if name not in found.removed}
    after |= {name: wanted[name] for name in found.added + found.changed}
    assert after == (wanted if remove_missing else before | wanted)
    assert found.unchanged + len(found.added) + len(found.changed) == len(wanted)
    assert not set(found.added) & before.keys()
