"""Units that a running systemd manages are limited through systemd only, as runtime properties.

A write to such a unit's cgroup file would be undone by the next daemon-reload, and undo what an
administrator set. pystemd has no asyncio and holds the interpreter lock during a call, which is
one reason for the limiter to be a process of its own.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, Gone, KernelError, Knob, Refused

RUNNING = Path("/run/systemd/system")
"""Exists exactly while systemd is this host's manager (sd_booted(3))."""

UNLIMITED_QUOTA = 2**64 - 1
_QUOTA = "CPUQuotaPerSecUSec"
_UNIT_ENDINGS = (".service", ".scope", ".slice")
_DELEGATION_MARKS = ("user.delegate", "trusted.delegate")


def unit_of(cgroup: str, root: Path | None) -> str | None:
    """The unit that this group is, or None when its files may be written.

    Groups below a unit with Delegate= are their owner's and not systemd's. Raises Refused for a
    group inside a unit that was not delegated.
    """
    if not RUNNING.is_dir():
        return None
    parts = cgroup.strip("/").split("/")
    if parts[-1].endswith(_UNIT_ENDINGS):
        return parts[-1]
    for depth in range(len(parts) - 1, 0, -1):
        if parts[depth - 1].endswith(_UNIT_ENDINGS):
            if root is not None and _delegated(root.joinpath(*parts[:depth])):
                return None
            raise Refused(
                f"{cgroup} lies inside {parts[depth - 1]}, which systemd manages and has not"
                " delegated: limit the unit itself"
            )
    return None


def available() -> bool:
    """True when pystemd can be imported."""
    return importlib.util.find_spec("pystemd") is not None


class SystemdUnits:
    """The CPU quota of one unit, in microseconds of CPU time a second ("max" without one)."""

    def knob(self, unit: str, identity: int) -> Knob:
        """The knob of a unit. Refused without pystemd."""
        if not available():
            raise Refused(
                f"{unit} is managed by systemd, and pystemd, which limits it without going behind"
                " systemd's back, is not installed: install fairuse[systemd] or python3-pystemd"
            )
        return Knob(kind="unit-cpu", target=unit, identity=identity)

    def fields(self, amounts: Amounts, before: Fields) -> Fields:
        """The quota for these cores, in whole percent as systemd keeps it. Refused under a
        tighter one of somebody else."""
        wanted = round(amounts["cores"] * 100) * 10_000
        if before[_QUOTA] != "max" and int(before[_QUOTA]) <= wanted:
            raise Refused("systemd holds this unit as tightly already", promise=3)
        return {_QUOTA: str(wanted)}

    def read(self, knob: Knob) -> Fields:
        """How the unit stands."""
        manager, unit_type = self._open()
        try:
            with unit_type(knob.target.encode()) as unit:
                value = int(getattr(unit.Service if hasattr(unit, "Service") else unit, _QUOTA))
        except Exception as error:
            raise _explained(error, knob) from error
        finally:
            manager.close()
        return {_QUOTA: "max" if value == UNLIMITED_QUOTA else str(value)}

    def write(self, knob: Knob, fields: Fields) -> None:
        """Set the quota as a runtime property: gone at the next boot whatever happens."""
        value = UNLIMITED_QUOTA if fields[_QUOTA] == "max" else int(fields[_QUOTA])
        manager, _ = self._open()
        try:
            manager.Manager.SetUnitProperties(knob.target.encode(), True, {_QUOTA.encode(): value})
        except Exception as error:
            raise _explained(error, knob) from error
        finally:
            manager.close()

    def _open(self) -> tuple[Any, Any]:
        try:
            systemd1 = importlib.import_module("pystemd.systemd1")
            manager = systemd1.Manager()
            manager.load()
        except Exception as error:
            raise KernelError(f"systemd cannot be reached over D-Bus: {error}") from error
        return manager, systemd1.Unit


def _explained(error: Exception, knob: Knob) -> Exception:
    if "NoSuchUnit" in str(error) or "not loaded" in str(error):
        return Gone(f"{knob.target} is not loaded any more")
    return KernelError(f"{_QUOTA} of {knob.target}: {error}: see `systemctl status {knob.target}`")


def _delegated(group: Path) -> bool:
    for mark in _DELEGATION_MARKS:
        try:
            if os.getxattr(group, mark) == b"1":
                return True
        except OSError:
            continue  # the mark is not there, which is the ordinary case
    return False
