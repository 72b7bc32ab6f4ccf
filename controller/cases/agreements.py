"""The agreements that stand: a cache over the store, asked with every report."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import chain

from controller.fairshare.agreement import Agreement, AgreementTerms, recorded
from controller.fairshare.entitlement import Entitlements, entitlements
from controller.storage import agreements
from controller.storage.database import Database


class UnknownAgreement(Exception):
    """There is no agreement with this id."""


class AgreementOver(Exception):
    """The agreement has ended or was withdrawn before: there is nothing left to withdraw."""


class AgreementBook:
    """All agreements, by tenant. What is recorded or withdrawn counts from the next report on."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._by_tenant: dict[str, list[Agreement]] = {}

    async def load(self) -> None:
        """Fill the cache from the store."""
        async with self._database.read() as connection:
            found = await agreements.all_of_them(connection)
        by_tenant: dict[str, list[Agreement]] = {}
        for agreement in found:
            by_tenant.setdefault(agreement.tenant, []).append(agreement)
        self._by_tenant = by_tenant

    def entitlements(
        self, host: str, tenants: tuple[str, ...], ended_at: float
    ) -> Entitlements | None:
        """What is agreed for an interval of `host` that ended then; None when nothing is."""
        concerned = self._by_tenant.keys()
        if not concerned or concerned.isdisjoint(tenants):
            return None
        of_them = chain.from_iterable(self._by_tenant[name] for name in concerned & set(tenants))
        return entitlements(of_them, host, tenants, ended_at)

    def every(self) -> tuple[Agreement, ...]:
        """All of them, of all tenants, those that are over too."""
        return tuple(chain.from_iterable(self._by_tenant.values()))

    def listed(self, *, tenant: str | None, limit: int | None = None) -> list[Agreement]:
        """Those of one tenant or of all, ended ones too, the last recorded first."""
        if tenant is not None:
            return self._by_tenant.get(tenant, [])[:limit]
        return sorted(self.every(), key=lambda each: each.recorded_at, reverse=True)[:limit]

    def in_force(self, tenant: str, host: str, now: float) -> tuple[Agreement, ...]:
        """Those of one tenant that count on that host now."""
        return tuple(
            each
            for each in self._by_tenant.get(tenant, ())
            if each.host in ("", host) and each.state(now) == "in-force"
        )

    def draw_up(self, terms: AgreementTerms, *, by: str) -> Agreement:
        """A new agreement that is not stored yet; MessageError names the field that is wrong."""
        return recorded(terms, "a" + secrets.token_hex(5), by=by, now=self._clock())

    async def record(self, terms: AgreementTerms, *, by: str) -> Agreement:
        """Store a new agreement; MessageError names the field that makes no sense."""
        agreement = self.draw_up(terms, by=by)
        async with self._database.write() as connection:
            await agreements.add(connection, agreement)
        await self.load()
        return agreement

    async def withdraw(self, agreement_id: str, *, by: str, reason: str) -> Agreement:
        """End an agreement now. UnknownAgreement or AgreementOver when that cannot be."""
        now = self._clock()
        async with self._database.write() as connection:
            done = await agreements.withdraw(
                connection, agreement_id, at=now, by=by, because=reason
            )
        await self.load()
        for agreement in chain.from_iterable(self._by_tenant.values()):
            if agreement.id != agreement_id:
                continue
            if done:
                return agreement
            raise AgreementOver(
                f"{agreement_id}: expected an agreement in force or to come, "
                f"found one that is {agreement.state(now)}"
            )
        raise UnknownAgreement(
            f'agreement: expected the id of one in /api/v1/agreements, found "{agreement_id}"'
        )
