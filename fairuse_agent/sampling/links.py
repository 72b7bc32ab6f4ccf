"""Interface names and owners by index, kept fresh by the kernel's link events."""

from __future__ import annotations

import socket
from collections.abc import KeysView

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.rtnl import RTMGRP_LINK

from fairuse_agent.sampling.netlink import RouteSocket
from fairuse_agent.tenancy.owner import Owner
from fairuse_agent.tenancy.ownership import Ownership


class Links:
    """Who owns which interface by its name, and where the others lead.

    While `watched` is False every round asks all names anew.
    """

    def __init__(self, ownership: Ownership, route: RouteSocket) -> None:
        self._ownership = ownership
        self._route = route
        self._outdated: set[int] = set()
        self.names: dict[int, str] = {}
        self.owners: dict[int, Owner] = {}
        self.leading: dict[int, int] = {}
        """Of the interfaces without an owner: the number of the network namespace that the other
        end is in."""
        self.watched = False

    def update(self, indices: KeysView[int], *, again: bool = False) -> bool:
        """Learn the names of all interfaces present, and decide whose they are. True when
        anything changed. `again` decides anew though no name changed."""
        outdated = self._outdated if self.watched else self.names.keys()
        if not outdated and not again and indices == self.names.keys():
            return False
        names = {
            index: self.names[index]
            if index in self.names and index not in outdated
            else _name_of(index)
            for index in indices
        }
        self._outdated = {index for index, name in names.items() if not name}
        # Asked of those that have no owner, and again when something happened to them.
        asked = self.names.keys() - self.owners.keys() - outdated
        before = (self.names, self.owners, self.leading)
        if again or names != self.names:
            self.owners = {
                index: owner
                for index, name in names.items()
                if (owner := self._ownership.owner_of_interface(name)) is not None
            }
        self.leading = {
            index: number
            for index in names.keys() - self.owners.keys()
            if (number := self.leading.get(index) if index in asked else self._leads_to(index))
            is not None
        }
        self.names = names
        return before != (self.names, self.owners, self.leading)

    def _leads_to(self, index: int) -> int | None:
        try:
            return self._route.link_namespace(index)
        except OSError:
            self._outdated.add(index)  # Asked again in the next round.
            return None

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
