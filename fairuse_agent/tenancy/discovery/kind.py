"""What every kind of discovery answers, and what several of them need."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fairuse_agent.tenancy.patterns import PathPattern

_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Finding:
    """A tenant, the weight of this guest of it, and the reason for both, for a person."""

    tenant: str
    weight: float
    why: str


class Kind(ABC):
    """One way in which hosts name their tenants' cgroups and interfaces.

    All but `look` and `read_again` are asked when something new shows, and none of it may wait
    for anything but the kernel and plain files: the sampling round waits for it.
    """

    name: ClassVar[str]
    """As `discover` in agent.toml says it."""
    places: Sequence[str] = ()
    """Patterns of the cgroups that this kind speaks for; {tenant} is the part that tells them
    apart."""
    unknown: str = "nothing is known of it yet"
    """Why a cgroup that this kind claims has no owner."""

    def __init__(self) -> None:
        self._places = tuple(PathPattern.parse(text) for text in self.places)

    def claims(self, path: str) -> bool:
        """Is the cgroup at `path` of this kind, whoever's it is?"""
        return self._captured(path) is not None

    def may_own_below(self, path: str) -> bool:
        """Can a cgroup below `path` ("" is the root) be of this kind?"""
        return any(place.may_fit_below(path) for place in self._places)

    @abstractmethod
    def of_cgroup(self, path: str) -> Finding | None:
        """Whose a cgroup of this kind is; None while that is not known."""

    def of_interface(self, name: str) -> Finding | None:
        """Whose an interface is by its name alone. Interfaces that lead into a cgroup's network
        namespace are found without it."""
        return None

    def look(self) -> bool:
        """Cheap, in every round. True when an answer may be another than it was."""
        return False

    def read_again(self) -> None:  # noqa: B027 (most kinds have nothing more to read)
        """Have what no event tells read again."""

    def notes(self) -> Sequence[str]:
        """Short sentences about what could not be learned, and what that costs."""
        return ()

    def close(self) -> None:  # noqa: B027 (most kinds have nothing to end)
        """End what runs in the background."""

    def _captured(self, path: str) -> str | None:
        for place in self._places:
            if (text := place.tenant(path)) is not None:
                return text
        return None


def unescaped(name: str) -> str:
    """A name as it was before systemd escaped it: "web\\x2d1" is "web-1" (systemd-escape(1))."""
    raw = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), name.encode())
    return raw.decode(errors="replace")
