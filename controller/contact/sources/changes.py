"""What a push of many tenants changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.tenants import Tenant


@dataclass(frozen=True)
class Changes:
    """Tenants by what happens to them, each in the order of their names."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int


def changes(
    before: Mapping[str, Tenant | None], wanted: Mapping[str, Tenant], *, remove_missing: bool
) -> Changes:
    """From what is pushed to what is wanted; what is not wanted goes only with `remove_missing`.

    None stands for an entry that is there and cannot be read: whatever is wanted changes it.
    """
    changed = [name for name in wanted if name in before and before[name] != wanted[name]]
    added = wanted.keys() - before.keys()
    removed = before.keys() - wanted.keys() if remove_missing else ()
    return Changes(
        added=tuple(sorted(added)),
        changed=tuple(sorted(changed)),
        removed=tuple(sorted(removed)),
        unchanged=len(wanted) - len(added) - len(changed),
    )
