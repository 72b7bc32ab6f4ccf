"""Interface names and owners by index, kept fresh by the kernel's link events."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.rtnl import RTMGRP_LINK

from fairuse_agent.tenancy.rules import Owner, TenantRules


class Links:
    """Who owns which interface. While `watched` is False every round asks all names anew."""

    def __init__(self, rules: TenantRules) -> None:
        self._rules = rules
        self._indices: set[int] = set()
        self.names: dict[int, str] = {}
        self.owners: dict[int, Owner] = {}
        self.watched = False
        self.changes = 0
        """How many link events came so far, for those who keep something made from names."""

    def forget(self, index: int) -> None:
        """The interface `index` came, went or changed: ask its name again."""
        self.changes += 1
        self.names.pop(index, None)

    def update(self, indices: Iterable[int]) -> bool:
        """Learn the names of all interfaces present. True when names or owners changed."""
        present = set(indices)
        before = self.names
        if not self.watched:
            self.names = {}
        if present == self._indices and len(self.names) == len(present):
            return False
        names = {index: self.names.get(index) or _name_of(index) for index in present}
        self.names = {index: name for index, name in names.items() if name}
        # An interface that went meanwhile has no name now and is asked for again.
        self._indices = present
        if self.names == before and self.watched:
            return False
        owners = {
            index: owner
            for index, name in self.names.items()
            if (owner := self._rules.owner_of_interface(name)) is not None
        }
        changed = owners != self.owners or self.names != before
        self.owners = owners
        return changed

    async def watch(self) -> None:
        """Follow link events until cancelled. Raises what goes wrong; names are then asked anew
        every round, so that a dead watcher costs time and not correctness."""
        async with AsyncIPRoute() as route:
            await route.bind(RTMGRP_LINK)
            self.names = {}
            self.watched = True
            try:
                async for message in route.get():
                    index = message.get("index")
                    if index:
                        self.forget(index)
            finally:
                self.watched = False


def _name_of(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""
