"""Whose network namespace an interface leads into: containers' veths, whatever made them.

A veth's name seldom tells its container's, but the kernel tells any user in which network
namespace the veth's other end is, and in which one a process is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from fairuse_agent.sampling.netlink import RouteSocket
from fairuse_agent.tenancy.owner import Owner

_TRIES = 3
"""In how many rounds something new is asked about: a container's processes come a moment after
its cgroup, and its veth before or after them."""
_PROCESSES, _FOLDERS = 16, 64
"""How far below a cgroup processes are looked for. A container's own processes are all in its
namespace; only its manager may stand beside them."""


class Namespaces:
    """Tenants' cgroups by the number of the network namespace that their processes are in."""

    def __init__(self, route: RouteSocket, roots: Sequence[Path]) -> None:
        """`roots` are mounts of hierarchies in which a tenant's cgroup may show."""
        self._route = route
        self._roots = tuple(str(root) for root in roots)
        self._numbers: dict[str, int] = {}
        """Of each cgroup that an interface is known to lead into."""
        self._paths_left: dict[str, int] = {}
        self._links_left: dict[tuple[int, int], int] = {}
        """How often a cgroup, and an interface with the namespace it leads to, is tried yet."""
        self.unsettled = False
        """Something new has no answer yet: ask again in the next round, though nothing moved."""

    def owners(
        self, cgroups: Mapping[str, Owner], leading: Mapping[int, int]
    ) -> dict[int, tuple[Owner, str]]:
        """Owner and cgroup of each interface in `leading`, which tells the namespace's number by
        the interface's index."""
        links = set(leading.items())
        fresh = {number for index, number in links if (index, number) not in self._links_left}
        self._forget(cgroups, links, fresh)
        known = set(self._numbers.values())
        strange = {link for link in links if link[1] not in known}
        if strange:
            # A new interface may be any cgroup's; an old one only a new cgroup's.
            anyones = any(self._links_left[link] for link in strange)
            for path in cgroups:
                if path not in self._numbers and (anyones or self._paths_left[path]):
                    self._try(path)
            for link in strange:
                self._links_left[link] = max(0, self._links_left[link] - 1)
        by_number: dict[int, str] = {}
        for cgroup, number in self._numbers.items():
            by_number.setdefault(number, cgroup)
        self.unsettled = any(
            self._links_left[link] or any(self._paths_left.values())
            for link in links
            if link[1] not in by_number
        )
        return {
            index: (cgroups[by_number[number]], by_number[number])
            for index, number in leading.items()
            if number in by_number
        }

    def _forget(
        self, cgroups: Mapping[str, Owner], links: set[tuple[int, int]], fresh: set[int]
    ) -> None:
        """Namespaces come and go, and their numbers are given again: what a number meant holds
        for as long as its interface and its cgroup do."""
        led_into = {number for _, number in links} - fresh
        self._numbers = {
            path: number
            for path, number in self._numbers.items()
            if path in cgroups and number in led_into
        }
        self._paths_left = {path: self._paths_left.get(path, _TRIES) for path in cgroups}
        self._links_left = {link: self._links_left.get(link, _TRIES) for link in links}

    def _try(self, path: str) -> None:
        self._paths_left[path] = max(0, self._paths_left[path] - 1)
        for pid in self._processes(path):
            number = self._route.process_namespace(pid)
            if number is not None:
                self._numbers[path] = number
                return

    def _processes(self, path: str) -> list[int]:
        """Some processes of the cgroup, its own before those further down."""
        for root in self._roots:
            found: list[int] = []
            pending = [root + path]
            for folder in pending:
                try:
                    with open(f"{folder}/cgroup.procs", "rb") as file:  # noqa: PTH123 (hot)
                        found.extend(int(line) for line in file.read().split()[:_PROCESSES])
                except OSError:
                    pass  # Gone, or a threaded cgroup, whose processes its parent lists.
                if len(found) < _PROCESSES and len(pending) < _FOLDERS:
                    pending.extend(_below(folder))
            if found:
                return found
        return []


def _below(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
