"""Logged-in users and their background work: `user-UID.slice`, as on web-hosting servers."""

from __future__ import annotations

import pwd
from collections.abc import Sequence

from fairuse_agent.tenancy.discovery.kind import Finding, Kind
from fairuse_agent.tenancy.discovery.lookup import Lookup
from fairuse_agent.tenancy.discovery.shares import CpuShares

_FIRST_UID, _NOBODY = 1000, 65534
"""People's numbers begin at 1000 (UID_MIN in login.defs of every current distribution)."""


class Users(Kind):
    """The tenant is the user's name, its weight the slice's CPU shares.

    Names may come from a directory server, so they are asked for in the background.
    """

    name = "users"
    places = ("/user.slice/user-{tenant}.slice",)
    unknown = "a system user, or one whose name nobody tells"

    def __init__(self, shares: CpuShares, names: Lookup[str] | None = None) -> None:
        super().__init__()
        self._shares = shares
        self._names = names or Lookup(user_name)

    def of_cgroup(self, path: str) -> Finding | None:
        """People are tenants; root and system users are not."""
        text = self._captured(path)
        if text is None or not text.isdecimal():
            return None
        if int(text) < _FIRST_UID or int(text) == _NOBODY:
            return None
        user = self._names.get(text)
        if user is None:
            return None
        weight, why = self._shares.weight(path)
        return Finding(user, weight, f"user {user}, uid {text}; {why}")

    def look(self) -> bool:
        """Names that came meanwhile."""
        return self._names.news()

    def notes(self) -> Sequence[str]:
        """Tells when nobody answers."""
        if seconds := self._names.silent_seconds():
            return (f"users: no name for a uid since {seconds:.0f} s; new users are not counted",)
        return ()

    def close(self) -> None:
        """End the lookups."""
        self._names.close()


def user_name(uid: str) -> str | None:
    """The name of the user with this number, by the system's name service; None without one."""
    try:
        return pwd.getpwuid(int(uid)).pw_name
    except KeyError:
        return None
