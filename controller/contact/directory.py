"""Whom to write to: tenants.toml, read again whenever it changes."""

from __future__ import annotations

import logging
from pathlib import Path

from controller.settings import TenantContact, TenantDirectory
from fairuse_protocol.settings import SettingsError, load_settings

_log = logging.getLogger(__name__)

_Signature = tuple[int, int, int]


class ContactDirectory:
    """Contacts by tenant.

    The first reading raises SettingsError when the file cannot be used, or when it is `required`
    (somebody may be written to) and missing. A later change that cannot be used leaves the
    contacts as they were, is logged once, and stands in `problem`.
    """

    def __init__(self, path: Path, *, required: bool = False) -> None:
        self._path = path
        self.problem = ""
        self._tenants: dict[str, TenantContact] = {}
        self._signature = _signature(path)
        if required or self._signature is not None:
            self._tenants = load_settings(path, TenantDirectory).tenants

    def contact_for(self, tenant: str) -> TenantContact | None:
        """Whom to write to about `tenant`; None when nobody is listed."""
        self._reload_if_changed()
        return self._tenants.get(tenant)

    def _reload_if_changed(self) -> None:
        signature = _signature(self._path)
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._tenants = load_settings(self._path, TenantDirectory).tenants
        except SettingsError as error:
            self.problem = f"{error}; the contacts read before stay in force"
            _log.error("%s", self.problem)
        else:
            self.problem = ""
            _log.info("%s: read again, %d tenants", self._path, len(self._tenants))


def _signature(path: Path) -> _Signature | None:
    """Changes whenever the file does, also when it is replaced within a clock tick."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
