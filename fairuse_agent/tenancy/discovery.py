"""Which cgroups there are now and whose they are, found out cheaply in every round.

Only folders in which a rule can match are listed, and nothing below a tenant's cgroup is: the
outermost match owns everything under it, so that usage is counted once. A folder whose listing
is what it was costs one `listdir`; times of change cannot be used instead, because the kernel
does not keep them for cgroup folders.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from fairuse_agent.tenancy.rules import Owner, TenantRules

_GONE = (errno.ENOENT, errno.ENODEV, errno.ENOTDIR)


class _Folder:
    """One listed folder: what it held last, and what that meant."""

    __slots__ = ("below", "listing", "owned")

    def __init__(self) -> None:
        self.listing: list[str] = []
        self.owned: dict[str, Owner] = {}
        self.below: list[str] = []


class TenantCgroups:
    """The tenants' cgroups under one or more mounted hierarchies, by path from the mount."""

    def __init__(self, rules: TenantRules, roots: Sequence[Path]) -> None:
        """`roots` are mounts of hierarchies in which a tenant's cgroup may show."""
        self._rules = rules
        self._roots = tuple(str(root) for root in roots)
        self._folders: dict[str, _Folder] = {}
        self.owners: dict[str, Owner] = {}
        self.trouble = ""
        """A folder that could not be listed at the last look, and why."""

    def refresh(self) -> bool:
        """Look again. True when `owners` changed."""
        seen, changed = dict[str, _Folder](), False
        self.trouble = ""
        for root in self._roots:
            pending = [""] if self._rules.may_own_below("") else []
            while pending:
                path = pending.pop()
                where = root + path
                folder = self._folders.get(where)
                if folder is None:
                    folder, changed = _Folder(), True
                try:
                    listing = os.listdir(where)  # noqa: PTH208 (names only: the hot path)
                    if listing != folder.listing:
                        self._read(folder, where, path)
                        folder.listing, changed = listing, True
                except OSError as error:
                    if error.errno in _GONE:
                        continue
                    # What it held is taken to be there still: to lose sight of a cgroup and find
                    # it again would count all that it ever used as this interval's.
                    self.trouble = f"{where}: {error.strerror}"
                seen[where] = folder
                pending.extend(folder.below)
        if changed or len(seen) != len(self._folders):
            self._folders = seen
            owners = dict[str, Owner]()
            for folder in seen.values():
                owners.update(folder.owned)
            changed = owners != self.owners
            self.owners = owners
        return changed

    def _read(self, folder: _Folder, where: str, path: str) -> None:
        """Decide again for every folder in this one. Raises OSError, having changed nothing."""
        with os.scandir(where) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        folder.owned, folder.below = {}, []
        for name in names:
            child = f"{path}/{name}"
            owner = self._rules.owner_of_cgroup(child)
            if owner is not None:
                folder.owned[child] = owner
            elif self._rules.may_own_below(child):
                folder.below.append(child)
