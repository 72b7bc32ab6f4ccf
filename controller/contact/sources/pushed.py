"""Tenants that another system pushes: kept in the store, and in memory for those who ask often."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controller.contact.sources.changes import Changes, changes
from controller.storage import tenants
from controller.storage.database import Database
from controller.storage.tenants import PushedRow
from controller.tenants import Tenant

_log = logging.getLogger(__name__)

_decoder = msgspec.json.Decoder(Tenant)


@dataclass(frozen=True, slots=True)
class Pushed:
    """One tenant's entry, and who pushed it when. `revision` changes whenever the entry does."""

    entry: Tenant
    revision: int
    at: float
    by: str


class NotAsExpected(Exception):
    """The caller's change was made of another revision than the store has. Nothing was changed."""

    def __init__(self, tenant: str, expected: str, revision: int | None) -> None:
        found = "no entry" if revision is None else f'"{revision}"'
        super().__init__(
            f'If-Match: expected {expected} for "{tenant}", found {found}; get the entry again'
        )


class NothingPushed(Exception):
    """No entry was pushed for this tenant."""


class PushedTenants:
    """The store's entries, at most as old as the last `refresh` where another controller wrote."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._pushed: dict[str, Pushed] = {}
        self._unusable: dict[str, str] = {}
        self._revision = 0

    @property
    def problem(self) -> str:
        """Which stored entries this version cannot read; empty: none."""
        if not self._unusable:
            return ""
        tenant, reason = next(iter(self._unusable.items()))
        return (
            f'{len(self._unusable)} pushed tenants cannot be used, as "{tenant}": {reason}; '
            "push them again"
        )

    def entry(self, tenant: str) -> Tenant | None:
        """What was pushed of the tenant; None: nothing."""
        pushed = self._pushed.get(tenant)
        return None if pushed is None else pushed.entry

    def pushed(self, tenant: str) -> Pushed | None:
        """The same, with who pushed it when."""
        return self._pushed.get(tenant)

    def names(self) -> Iterable[str]:
        """Whose entry was pushed."""
        return self._pushed.keys()

    async def refresh(self) -> None:
        """Take over what was changed in the store since the last time."""
        async with self._database.read() as connection:
            self._follow(await tenants.since(connection, self._revision))

    async def put(self, tenant: str, entry: Tenant, *, by: str, expected: str = "") -> None:
        """Store one entry; one that is there already, and the same, stays as it is.

        `expected` is an entity tag as in If-Match, or empty for any. Raises NotAsExpected.
        """
        async with self._database.write() as connection:
            row = await self._expected_row(connection, tenant, expected)
            if row is None or row.document is None or _read(row) != entry:
                document = msgspec.json.encode(entry).decode()
                await tenants.store(connection, {tenant: document}, at=self._clock(), by=by)
                _log.info("tenant %s was pushed by %s", tenant, by)
        await self.refresh()

    async def remove(self, tenant: str, *, by: str, expected: str = "") -> None:
        """Forget one entry. Raises NothingPushed or NotAsExpected."""
        async with self._database.write() as connection:
            row = await self._expected_row(connection, tenant, expected)
            if row is None or row.document is None:
                raise NothingPushed(f'tenant: expected one that was pushed, found "{tenant}"')
            await tenants.store(connection, {tenant: None}, at=self._clock(), by=by)
            _log.info("tenant %s was removed by %s", tenant, by)
        await self.refresh()

    async def take(
        self, wanted: Mapping[str, Tenant], *, remove_missing: bool, dry_run: bool, by: str
    ) -> Changes:
        """Store many entries, all or none. With `dry_run` only say what that would change."""
        async with self._database.write() as connection:
            rows = [row for row in await tenants.since(connection, 0) if row.document is not None]
            before = {row.tenant: _read(row) for row in rows}
            found = changes(before, wanted, remove_missing=remove_missing)
            if dry_run:
                return found
            documents: dict[str, str | None] = {
                name: msgspec.json.encode(wanted[name]).decode()
                for name in (*found.added, *found.changed)
            }
            documents |= dict.fromkeys(found.removed)
            await tenants.store(connection, documents, at=self._clock(), by=by)
        await self.refresh()
        _log.info(
            "%s pushed tenants: %d added, %d changed, %d removed, %d as before",
            *(by, len(found.added), len(found.changed), len(found.removed), found.unchanged),
        )
        return found

    async def _expected_row(
        self, connection: AsyncConnection, tenant: str, expected: str
    ) -> PushedRow | None:
        row = await tenants.of(connection, tenant)
        revision = None if row is None or row.document is None else row.revision
        if expected and (revision is None or expected not in ("*", f'"{revision}"')):
            raise NotAsExpected(tenant, expected, revision)
        return row

    def _follow(self, rows: Iterable[PushedRow]) -> None:
        for row in rows:
            if row.revision <= self._revision:
                # Read by another refresh meanwhile, which may have seen more than this one.
                continue
            self._revision = row.revision
            self._pushed.pop(row.tenant, None)
            self._unusable.pop(row.tenant, None)
            if row.document is None:
                continue
            try:
                entry = _decoder.decode(row.document)
            except msgspec.ValidationError as error:
                # Another version wrote it. What can be read is of use meanwhile.
                self._unusable[row.tenant] = str(error)
                _log.error("the pushed tenant %s cannot be used: %s", row.tenant, error)
            else:
                self._pushed[row.tenant] = Pushed(
                    entry, row.revision, row.changed_at, row.changed_by
                )


def _read(row: PushedRow) -> Tenant | None:
    """The stored entry; None where this version cannot read it."""
    try:
        return _decoder.decode(row.document or "")
    except msgspec.ValidationError:
        return None
