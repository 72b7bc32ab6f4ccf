"""How far enforcement goes where: controller.toml's mode, and less in rings that are not there yet.

rings.toml is what a rollout moves forward, ring by ring; it is read again when it changes.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from controller.settings import Mode
from controller.watched import Reading, Watched
from fairuse_protocol.settings import Settings, require

_IN_ORDER: tuple[Mode, ...] = ("observe", "contact", "enforce")


class Ring(Settings):
    """A part of the fleet that is taken further together."""

    name: str
    """For people."""
    mode: Mode
    """How far it goes; never further than controller.toml's mode."""
    hosts: tuple[str, ...] = ()
    """Patterns as in a shell: ``shared-*.example.com``."""


class Rings(Settings):
    """The whole of rings.toml. A host is in the first ring that has a pattern for it; one that is
    in none has the mode of controller.toml."""

    ring: tuple[Ring, ...] = ()

    def __post_init__(self) -> None:
        """People tell rings apart by their names."""
        for index, ring in enumerate(self.ring):
            require(
                all(ring.name != other.name for other in self.ring[:index]),
                f"ring[{index}].name",
                expected="each name once",
                found=f'"{ring.name}" twice',
            )


class Modes:
    """The mode of each host.

    The first reading raises SettingsError when the file cannot be used. A later change that
    cannot be used leaves the rings as they were, is logged once, and stands in `problem`.
    """

    def __init__(self, most: Mode, path: Path | None = None) -> None:
        """`most` is the mode that no host goes beyond. Without a `path` it is everybody's."""
        self.most: Mode = most
        self._path = path
        self._of_host: dict[str, Mode] = {}
        self._rings = Watched(self._read, "rings")

    @property
    def rings(self) -> tuple[Ring, ...]:
        """As of the last refresh."""
        return self._rings.value.ring

    @property
    def problem(self) -> str:
        """Why the file as it is now is not in force; empty when it is."""
        return self._rings.problem

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        self._rings.refresh()

    def on(self, host: str) -> Mode:
        """How far enforcement goes on that host, as of the last refresh."""
        mode = self._of_host.get(host)
        if mode is None:
            mode = self._of_host[host] = min(self._ring_mode(host), self.most, key=_IN_ORDER.index)
        return mode

    def _ring_mode(self, host: str) -> Mode:
        for ring in self.rings:
            if any(fnmatchcase(host, pattern) for pattern in ring.hosts):
                return ring.mode
        return self.most

    def _read(self, reading: Reading) -> Rings:
        self._of_host = {}
        return Rings() if self._path is None else reading.load(self._path, Rings)
