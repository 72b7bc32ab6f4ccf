"""Units that a running systemd manages are limited through systemd only, as runtime properties.

A write to such a unit's cgroup file would be undone by the next daemon-reload, and undo what an
administrator set. pystemd has no asyncio and holds the interpreter lock during a call, which is
one reason for the limiter to be a process of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, Gone, KernelError, Knob, Refused
from fairuse_agent.limiter.kernel.mounts import Mounts, identity_of

RUNNING = Path("/run/systemd/system")
"""Exists exactly while systemd is this host's manager (sd_booted(3))."""

UNLIMITED = "max"
_NO_QUOTA = 2**64 - 1
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
    for depth, part in enumerate(parts, start=1):
        if not part.endswith(_UNIT_ENDINGS):
            if depth == 1:
                return None
            raise Refused(
                f"{cgroup} lies inside {parts[depth - 2]}, which systemd manages and has not"
                " delegated: limit the unit itself"
            )
        if depth == len(parts):
            return part
        if root is not None and _delegated(root.joinpath(*parts[:depth])):
            return None
        if not part.endswith(".slice"):
            raise Refused(
                f"{cgroup} lies inside {part}, which systemd manages and has not"
                " delegated: limit the unit itself"
            )
    return None


class SystemdUnits:
    """The CPU quota of one unit, in microseconds of CPU time a second ("max" without one).

    A knob's target is the unit's cgroup, its last part the unit's name.
    """

    def knob(self, cgroup: str, mounts: Mounts) -> Knob:
        """The knob of a unit. Refused without pystemd, Gone without the group."""
        found = mounts.root_of("cpu", "cpu")
        if found is None:
            raise Refused("this host has no cgroup hierarchy with a cpu controller")
        if importlib.util.find_spec("pystemd") is None:
            raise Refused(
                f"{cgroup} is a unit that systemd manages, and pystemd, which limits it without"
                " going behind systemd's back, is not installed: install fairuse[systemd]"
            )
        return Knob(kind="unit-cpu", target=cgroup, identity=identity_of(found[0], cgroup))

    def fields(self, amounts: Amounts, before: Fields) -> Fields:
        """The quota for these cores, in whole percent as systemd keeps it (rounded up: never
        below fair). Refused under a tighter one of somebody else."""
        wanted = math.ceil(amounts["cores"] * 100 - 1e-6) * 10_000
        if before[_QUOTA] != UNLIMITED and int(before[_QUOTA]) <= wanted:
            raise Refused("systemd holds this unit as tightly already", promise=3)
        return {_QUOTA: str(wanted)}

    def read(self, knob: Knob) -> Fields:
        """How the unit stands."""
        name = _name(knob)
        section = name.rpartition(".")[2].capitalize()
        value = int(_call(knob, lambda systemd: _property(systemd.Unit(name.encode()), section)))
        return {_QUOTA: UNLIMITED if value == _NO_QUOTA else str(value)}

    def write(self, knob: Knob, fields: Fields) -> None:
        """Set the quota as a runtime property: gone at the next boot whatever happens."""
        value = _NO_QUOTA if fields[_QUOTA] == UNLIMITED else int(fields[_QUOTA])
        properties = {_QUOTA.encode(): value}

        def set_quota(systemd: Any) -> None:
            with systemd.Manager() as manager:
                manager.Manager.SetUnitProperties(_name(knob).encode(), True, properties)

        _call(knob, set_quota)


def _name(knob: Knob) -> str:
    return knob.target.rpartition("/")[2]


def _property(unit: Any, section: str) -> Any:
    with unit:
        return getattr(getattr(unit, section), _QUOTA)


def _call(knob: Knob, ask: Callable[[Any], Any]) -> Any:
    """Speak to systemd. Raises Gone for a unit that is not loaded, KernelError for the rest."""
    systemd = importlib.import_module("pystemd.systemd1")
    errors = importlib.import_module("pystemd.dbusexc")
    try:
        return ask(systemd)
    except errors.DBusNoSuchUnitError as error:
        raise Gone(f"{_name(knob)} is not loaded any more") from error
    except errors.DBusBaseError as error:
        raise KernelError(
            f"{_QUOTA} of {_name(knob)} over D-Bus: {error}: see `systemctl status {_name(knob)}`"
        ) from error


def _delegated(group: Path) -> bool:
    for mark in _DELEGATION_MARKS:
        try:
            if os.getxattr(group, mark) == b"1":
                return True
        except OSError:
            continue  # the mark is not there, which is the ordinary case
    return False
