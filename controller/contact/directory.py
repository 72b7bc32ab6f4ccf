"""Whom to write to, and who has which plan: the one place that decides whose word counts.

tenants.toml comes first, as the operator's own word; then what another system has pushed; then
what is looked up elsewhere. The first that lists a tenant counts alone: nothing is mixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.contact.sources.asking import LookupFailed
from controller.contact.sources.entry import SourceName
from controller.contact.sources.lookup import Lookup
from controller.contact.sources.pushed import PushedTenants
from controller.tenants import Tenant, TenantDirectory
from controller.watched import Reading, Watched


@dataclass(frozen=True)
class Listing:
    """What one source says of a tenant, when it said so, and who did."""

    source: SourceName
    entry: Tenant
    at: float | None = None
    """In seconds since the epoch; None: the file as it is now."""
    by: str = ""
    """Whose token pushed it."""
    revision: int | None = None
    """Of what was pushed."""
    is_stale: bool = False
    """Whether it should have been asked for anew by now."""


@dataclass(frozen=True)
class Listings:
    """Everything that is known of one tenant; the first counts."""

    found: tuple[Listing, ...]
    problem: str = ""
    """Why it is not known what would be looked up; empty: it is, or nothing is."""


class ContactDirectory:
    """Tenants by their id.

    The first reading raises SettingsError when the file cannot be used, or when it is `required`
    (somebody may be written to) and missing. A later change that cannot be used leaves the
    contacts as they were, is logged once, and stands in `problem`.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        required: bool = False,
        pushed: PushedTenants | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        self._path = path
        self._required = required
        self._tenants = Watched(self._read, "contacts")
        self._pushed = pushed
        self._lookup = lookup

    @property
    def problem(self) -> str:
        """What is not as it should be with any of the sources; empty when all is well."""
        problems = (
            self._tenants.problem,
            self._pushed.problem if self._pushed else "",
            self._lookup.problem if self._lookup else "",
        )
        return "; ".join(each for each in problems if each)

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        self._tenants.refresh()

    async def follow(self) -> None:
        """Take over what was pushed by way of another controller, and the file's changes."""
        self.refresh()
        if self._pushed:
            await self._pushed.refresh()

    def tenant(self, tenant: str) -> Tenant | None:
        """What is known of `tenant` at once; None: it is not listed, or not looked up yet."""
        self.refresh()
        return self._known(tenant)

    def names(self) -> tuple[str, ...]:
        """The tenants that are known by name now: listed in the file, pushed or looked up."""
        names = set(self._tenants.value)
        names.update(self._pushed.names() if self._pushed else ())
        names.update(self._lookup.names() if self._lookup else ())
        return tuple(sorted(names))

    def plan_of(self, tenant: str) -> str:
        """The tenant's plan as far as it is known at once, as of the last refresh; empty when none
        is. Every report asks this of every tenant."""
        known = self._known(tenant)
        return known.plan if known else ""

    async def find(self, tenant: str) -> Tenant | None:
        """What is listed of `tenant` now, looked up if need be; None: nobody lists it.

        Raises LookupFailed when that cannot be known at present.
        """
        self.refresh()
        listed = self._listed(tenant)
        if listed is not None or self._lookup is None:
            return listed
        return await self._lookup.ask(tenant)

    async def listings(self, tenant: str) -> Listings:
        """What every source says of `tenant`, asked where need be, also if another lists it."""
        self.refresh()
        problem = ""
        if self._lookup:
            try:
                await self._lookup.ask(tenant)
            except LookupFailed as error:
                problem = str(error)
        return Listings(tuple(self.said_of(tenant)), problem)

    def overruled(self, entries: Mapping[str, Tenant]) -> list[str]:
        """The tenants among these that tenants.toml lists too, and otherwise."""
        self.refresh()
        listed = self._tenants.value
        return sorted(name for name, entry in entries.items() if listed.get(name, entry) != entry)

    def listed(self) -> dict[str, list[Listing]]:
        """Every tenant that is known now by name, with what each source says of it."""
        return {name: self.said_of(name) for name in self.names()}

    def _known(self, tenant: str) -> Tenant | None:
        listed = self._listed(tenant)
        if listed is None and self._lookup:
            return self._lookup.known(tenant)
        return listed

    def _listed(self, tenant: str) -> Tenant | None:
        """What was said without being asked: the file's word, or else what was pushed."""
        listed = self._tenants.value.get(tenant)
        if listed is None and self._pushed:
            return self._pushed.entry(tenant)
        return listed

    def said_of(self, tenant: str) -> list[Listing]:
        """What every source says of `tenant` as far as is known at once; what counts first."""
        found = []
        if (entry := self._tenants.value.get(tenant)) is not None:
            found.append(Listing("tenants_file", entry))
        if self._pushed and (pushed := self._pushed.pushed(tenant)):
            found.append(Listing("pushed", pushed.entry, pushed.at, pushed.by, pushed.revision))
        if self._lookup and (kept := self._lookup.kept(tenant)) and kept.entry:
            is_stale = self._lookup.is_stale(kept)
            found.append(Listing("looked-up", kept.entry, kept.answered_at, is_stale=is_stale))
        return found

    def _read(self, reading: Reading) -> dict[str, Tenant]:
        if self._path is None or (not self._required and not reading.exists(self._path)):
            return {}
        tenants = reading.load(self._path, TenantDirectory).tenants
        # Once there are contacts, a file that is gone is a mistake.
        self._required = True
        return tenants
