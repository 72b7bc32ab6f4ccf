"""Which cgroups there are now and whose they are, found out cheaply in every round.

Only folders in which a rule or a kind of discovery can match are listed, and nothing below a
tenant's cgroup is: the outermost match owns everything under it, so that usage is counted once. A
folder whose listing is what it was costs one `listdir`; times of change cannot be used instead,
because the kernel does not keep them for cgroup folders.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence, Set
from pathlib import Path

from fairuse_agent.tenancy.owner import Owner
from fairuse_agent.tenancy.ownership import Ownership

_GONE = (errno.ENOENT, errno.ENODEV, errno.ENOTDIR)


class _Folder:
    """One listed folder: what it held last, and what that meant."""

    __slots__ = ("below", "listing", "names", "owned", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.listing: list[str] = []
        self.names: list[str] = []
        self.owned: dict[str, Owner] = {}
        self.below: list[str] = []


class TenantCgroups:
    """The tenants' cgroups under one or more mounted hierarchies, by path from the mount."""

    def __init__(self, ownership: Ownership, roots: Sequence[Path]) -> None:
        """`roots` are mounts of hierarchies in which a tenant's cgroup may show."""
        self._ownership = ownership
        self._roots = tuple(str(root) for root in roots)
        self._folders: dict[str, _Folder] = {}
        self.owners: dict[str, Owner] = {}
        self.trouble = ""
        """A folder that could not be listed at the last look, and why."""

    def refresh(self, news: Set[str] = frozenset()) -> bool:
        """Look again. True when `owners` changed. Kinds of discovery with `news` are asked again
        about the cgroups that were there before."""
        seen, changed = dict[str, _Folder](), bool(news)
        self.trouble = ""
        if news:
            for known in self._folders.values():
                known.owned = {p: o for p, o in known.owned.items() if o.source not in news}
                known.below = []  # What had no owner may have one now.
                self._decide(known)
        for root in self._roots:
            pending = [""] if self._ownership.may_own_below("") else []
            while pending:
                path = pending.pop()
                where = root + path
                folder = self._folders.get(where)
                if folder is None:
                    folder, changed = _Folder(path), True
                try:
                    listing = os.listdir(where)  # noqa: PTH208 (names only: the hot path)
                    if listing != folder.listing:
                        self._read(folder, where)
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

    def _read(self, folder: _Folder, where: str) -> None:
        """Take in what the folder holds now. Raises OSError, having changed nothing."""
        with os.scandir(where) as entries:
            folder.names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
        self._decide(folder)

    def _decide(self, folder: _Folder) -> None:
        """Whose each cgroup in this folder is; what is decided already is kept."""
        owned_before, below_before = folder.owned, set(folder.below)
        folder.owned, folder.below = {}, []
        for name in folder.names:
            child = f"{folder.path}/{name}"
            if child in below_before:
                folder.below.append(child)
                continue
            owner = owned_before.get(child) or self._ownership.owner_of_cgroup(child)
            if owner is not None:
                folder.owned[child] = owner
            elif self._ownership.may_own_below(child):
                folder.below.append(child)
