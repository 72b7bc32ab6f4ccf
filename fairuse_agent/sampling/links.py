"""Interface names and owners by index, kept fresh by the kernel's link events."""

from __future__ import annotations

import socket
from collections.abc import KeysView

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.rtnl import RTMGRP_LINK

from fairuse_agent.tenancy.rules import Owner, TenantRules


class Links:
    """Who owns which interface. While `watched` is False every round asks all names anew."""

    def __init__(self, rules: TenantRules) -> None:
        self._rules = rules
        self._outdated: set[int] = set()
        self.names: dict[int, str] = {}
        self.owners: dict[int, Owner] = {}
        self.watched = False

    def update(self, indices: KeysView[int]) -> bool:
        """Learn the names of all interfaces present. True when names changed."""
        outdated = self._outdated if self.watched else self.names.keys()
        if not outdated and indices == self.names.keys():
            return False
        names = {
            index: self.names[index]
            if index in self.names and index not in outdated
            else _name_of(index)
            for index in indices
        }
        self._outdated = {index for index, name in names.items() if not name}
        if names == self.names:
            return False
        self.names = names
        self.owners = {
            index: owner
            for index, name in names.items()
            if (owner := self._rules.owner_of_interface(name)) is not None
        }
        return True

    async def watch(self) -> None:
        """Follow link events until cancelled. Raises what goes wrong; names are then asked anew
        every round, so that a dead watcher costs time and not correctness."""
        async with AsyncIPRoute() as route:
            await route.bind(RTMGRP_LINK)
            self._outdated.update(self.names)
            self.watched = True
            try:
                while True:  # One get() ends with the messages that are there.
                    async for message in route.get():
                        self._outdated.add(message["index"])
            finally:
                self.watched = False


def _name_of(index: int) -> str:
    """The interface's name, or nothing when it went meanwhile: asked for again next time."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""
