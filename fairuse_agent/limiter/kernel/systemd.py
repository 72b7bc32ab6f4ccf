"""Units that a running systemd manages are changed through systemd only, as runtime properties.

A write to such a unit's cgroup file would be undone by the next daemon-reload, and undo what an
administrator set. pystemd has no asyncio and holds the interpreter lock during a call, which is
one reason for the limiter to be a process of its own.

A runtime property leaves a drop-in below /run. It keeps a limit in force through a daemon-reload,
and would also hide what an administrator writes into the unit's file later on: the drop-ins that
a limit made go with the limit.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, Gone, KernelError, Knob, Refused
from fairuse_agent.limiter.kernel.mounts import Mounts, identity_of

RUNNING = Path("/run/systemd/system")
"""Exists exactly while systemd is this host's manager (sd_booted(3))."""

UNLIMITED = "max"
UNSET = 2**64 - 1
"""What systemd calls infinity: no quota, no maximum."""

_RUNTIME_DROP_INS = (Path("/run/systemd/system.control"), Path("/run/systemd/transient"))
"""Where systemd writes runtime properties: of units with a file, of units without."""
_QUOTA, _QUOTA_SETTING = "CPUQuotaPerSecUSec", "CPUQuota"
_DROP_IN = "drop-in"
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


def unit_name(knob: Knob) -> str:
    """The unit of a knob: the last part of its cgroup."""
    return knob.target.rpartition("/")[2]


def require_pystemd(cgroup: str) -> None:
    """Raise Refused where systemd cannot be spoken to."""
    if importlib.util.find_spec("pystemd") is None:
        raise Refused(
            f"{cgroup} is a unit that systemd manages, and pystemd, which limits it without"
            " going behind systemd's back, is not installed: install fairuse[systemd]"
        )


def read_properties(unit: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Properties of one unit. Raises Gone for one that is not loaded, or KernelError."""
    section = unit.rpartition(".")[2].capitalize()

    def read(systemd: Any) -> dict[str, Any]:
        with systemd.Unit(unit.encode()) as loaded:
            return {name: getattr(getattr(loaded, section), name) for name in names}

    found: dict[str, Any] = _call(unit, read)
    return found


def read_unit(unit: str, name: str) -> str:
    """A property that every kind of unit has, in words. Raises Gone or KernelError."""

    def read(systemd: Any) -> str:
        with systemd.Unit(unit.encode()) as loaded:
            return os.fsdecode(getattr(loaded.Unit, name))

    return str(_call(unit, read))


def set_properties(unit: str, properties: Mapping[bytes, Any], *, runtime: bool = True) -> None:
    """Set properties of one unit, until the next boot unless `runtime` is False. One that pystemd
    does not know goes as `{b"_custom": (name, signature, value)}`, one a call."""
    call_manager(
        unit, lambda manager: manager.SetUnitProperties(unit.encode(), runtime, properties)
    )


def call_manager(unit: str, call: Callable[[Any], Any]) -> None:
    """Have the manager do something to one unit. Raises Gone or KernelError."""

    def do(systemd: Any) -> None:
        with systemd.Manager() as manager:
            call(manager.Manager)

    _call(unit, do)


def drop_in(unit: str, setting: str) -> str:
    """Whether a runtime property stands for this setting of the unit's file: "set" or "unset"."""
    return "set" if any(path.exists() for path in _drop_ins(unit, setting)) else "unset"


def remove_drop_in(unit: str, setting: str) -> None:
    """Remove what a runtime property left, once the property is as it was. systemd then says
    that a daemon-reload is due, and means the drop-in that is gone."""
    for path in _drop_ins(unit, setting):
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others' drop-ins are in there, or there is none
            path.parent.rmdir()


def _drop_ins(unit: str, setting: str) -> list[Path]:
    return [root / f"{unit}.d" / f"50-{setting}.conf" for root in _RUNTIME_DROP_INS]


class SystemdUnits:
    """The CPU quota of one unit, in microseconds of CPU time a second ("max" without one).

    The period that somebody chose for the quota stays: systemd scales the quota to it. A knob's
    target is the unit's cgroup.
    """

    def knob(self, cgroup: str, mounts: Mounts) -> Knob:
        """The knob of a unit. Refused without pystemd, Gone without the group."""
        found = mounts.root_of("cpu", "cpu")
        if found is None:
            raise Refused("this host has no cgroup hierarchy with a cpu controller")
        require_pystemd(cgroup)
        return Knob(kind="unit-cpu", target=cgroup, identity=identity_of(found[0], cgroup))

    def fields(self, amounts: Amounts, before: Fields) -> Fields:
        """The quota for these cores, in whole percent as systemd keeps it (rounded up: never
        below fair). Refused under a tighter one of somebody else."""
        wanted = math.ceil(amounts["cores"] * 100 - 1e-6) * 10_000
        if before[_QUOTA] != UNLIMITED and int(before[_QUOTA]) <= wanted:
            raise Refused("systemd holds this unit as tightly already", promise=3)
        return {_QUOTA: str(wanted), _DROP_IN: "set"}

    def read(self, knob: Knob) -> Fields:
        """How the unit stands."""
        unit = unit_name(knob)
        value = int(read_properties(unit, (_QUOTA,))[_QUOTA])
        return {
            _QUOTA: UNLIMITED if value == UNSET else str(value),
            _DROP_IN: drop_in(unit, _QUOTA_SETTING),
        }

    def write(self, knob: Knob, fields: Fields) -> None:
        """Set the quota as a runtime property: gone at the next boot whatever happens."""
        unit = unit_name(knob)
        value = UNSET if fields[_QUOTA] == UNLIMITED else int(fields[_QUOTA])
        set_properties(unit, {_QUOTA.encode(): value})
        if fields[_DROP_IN] == "unset":
            remove_drop_in(unit, _QUOTA_SETTING)


def _call(unit: str, ask: Callable[[Any], Any]) -> Any:
    """Speak to systemd. Raises Gone for a unit that is not loaded, KernelError for the rest."""
    systemd = importlib.import_module("pystemd.systemd1")
    errors = importlib.import_module("pystemd.dbusexc")
    try:
        return ask(systemd)
    except errors.DBusNoSuchUnitError as error:
        raise Gone(f"{unit} is not loaded any more") from error
    except errors.DBusBaseError as error:
        raise KernelError(f"{unit} over D-Bus: {error}: see `systemctl status {unit}`") from error


def _delegated(group: Path) -> bool:
    for mark in _DELEGATION_MARKS:
        try:
            if os.getxattr(group, mark) == b"1":
                return True
        except OSError:
            continue  # the mark is not there, which is the ordinary case
    return False
