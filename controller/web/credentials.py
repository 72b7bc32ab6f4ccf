"""Which host speaks: the credentials of all enrolled hosts, in memory."""

from __future__ import annotations

from collections.abc import Callable

from controller.storage import tokens
from controller.storage.database import Database

REFRESH_SECONDS = 10.0
"""How long a credential that was revoked elsewhere may still be good here."""
_LOOK_AGAIN_SECONDS = 1.0
"""An unknown credential may have been enrolled elsewhere a moment ago; guessing costs no more."""


class HostCredentials:
    """A cache of the store, at most `REFRESH_SECONDS` old while `refresh` is called that often."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._hosts: dict[bytes, str] = {}
        self._refreshed_at = float("-inf")

    async def refresh(self) -> None:
        """Read all credentials again."""
        self._refreshed_at = self._clock()
        async with self._database.read() as connection:
            self._hosts = await tokens.host_credentials(connection)

    async def host_of(self, credential: str) -> str | None:
        """The host that this is the credential of, if any."""
        wanted = tokens.digest(credential)
        host = self._hosts.get(wanted)
        if host is None and abs(self._clock() - self._refreshed_at) >= _LOOK_AGAIN_SECONDS:
            await self.refresh()
            host = self._hosts.get(wanted)
        return host
