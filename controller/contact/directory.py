"""Whom to write to, and who has which plan: tenants.toml, read again whenever it changes."""

from __future__ import annotations

from pathlib import Path

from controller.tenants import Tenant, TenantDirectory
from controller.watched import Reading, Watched


class ContactDirectory:
    """Tenants by their id.

    The first reading raises SettingsError when the file cannot be used, or when it is `required`
    (somebody may be written to) and missing. A later change that cannot be used leaves the
    contacts as they were, is logged once, and stands in `problem`.
    """

    def __init__(self, path: Path, *, required: bool = False) -> None:
        self._path = path
        self._required = required
        self._tenants = Watched(self._read, "contacts")

    @property
    def problem(self) -> str:
        """Why the file as it is now is not in force; empty when it is."""
        return self._tenants.problem

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        self._tenants.refresh()

    def tenant(self, tenant: str) -> Tenant | None:
        """What the file as it is now says of `tenant`; None: it is not listed."""
        self.refresh()
        return self._tenants.value.get(tenant)

    def names(self) -> tuple[str, ...]:
        """The tenants that the file lists, as of the last refresh."""
        return tuple(self._tenants.value)

    def plan_of(self, tenant: str) -> str:
        """The tenant's plan as of the last refresh; empty when none is listed."""
        listed = self._tenants.value.get(tenant)
        return listed.plan if listed else ""

    def _read(self, reading: Reading) -> dict[str, Tenant]:
        if not self._required and not reading.exists(self._path):
            return {}
        tenants = reading.load(self._path, TenantDirectory).tenants
        # Once there are contacts, a file that is gone is a mistake.
        self._required = True
        return tenants
