"""Settings that are read again whenever one of their files changes.

A change that cannot be used leaves what was read before in force, is logged once, and stands in
`problem` until the files are mended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from fairuse_protocol.settings import SettingsError, load_settings

_log = logging.getLogger(__name__)

Value = TypeVar("Value")
SettingsType = TypeVar("SettingsType")
_Signature = tuple[int, int, int]


class Reading:
    """One reading of some files, which remembers how each was just before it was read."""

    def __init__(self) -> None:
        self.seen: dict[Path, _Signature | None] = {}

    def load(self, path: Path, settings_type: type[SettingsType]) -> SettingsType:
        """Read one file, or raise SettingsError."""
        self.exists(path)
        return load_settings(path, settings_type)

    def exists(self, path: Path) -> bool:
        """Whether there is such a file; it is watched, also if there is none yet."""
        return self.seen.setdefault(path, _signature(path)) is not None

    def is_outdated(self) -> bool:
        """Whether a file is another one now, has come, or is gone."""
        return any(_signature(path) != before for path, before in self.seen.items())


class Watched(Generic[Value]):
    """What `read` makes of its files. The first reading raises SettingsError if it cannot."""

    def __init__(self, read: Callable[[Reading], Value], what: str) -> None:
        """`what` names in the plural what stays in force when a change cannot be used."""
        self._read = read
        self._what = what
        self._reading = Reading()
        self.problem = ""
        self.value = read(self._reading)

    def refresh(self) -> None:
        """Read again if a file has changed since. Costs one look at each file."""
        if not self._reading.is_outdated():
            return
        self._reading = Reading()
        try:
            self.value = self._read(self._reading)
        except SettingsError as error:
            self.problem = f"{error}; the {self._what} read before stay in force"
            _log.error("%s", self.problem)
        else:
            self.problem = ""
            files = ", ".join(str(path) for path in self._reading.seen)
            _log.info("%s read again: %s", self._what, files)


def _signature(path: Path) -> _Signature | None:
    """Changes whenever the file does, also when it is replaced within a clock tick."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
