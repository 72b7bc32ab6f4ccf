"""Suspending a tenant: its cgroup is frozen, and nothing in it runs until it is thawed.

A unit that systemd manages is frozen by systemd, any other group by its own file: cgroup.freeze
on version 2, freezer.state of the freezer hierarchy on version 1.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, KernelError, Knob, Refused
from fairuse_agent.limiter.kernel.mounts import (
    Mounts,
    group_of,
    identity_of,
    read_text,
    write_text,
)
from fairuse_agent.limiter.kernel.systemd import (
    call_manager,
    read_unit,
    require_pystemd,
    unit_name,
)

STATE, RUNNING, FROZEN = "state", "running", "frozen"
_FIRST_KERNEL = "does this kernel have it (cgroup.freeze: Linux 5.2 and later)?"
_TO_V1 = {RUNNING: "THAWED", FROZEN: "FROZEN"}


class Freezer:
    """The `state` of one group or unit: "running" or "frozen"."""

    def __init__(self, mounts: Mounts) -> None:
        self._mounts = mounts

    def knob(self, cgroup: str, *, unit: bool) -> Knob:
        """The knob of a group. Raises Gone, or Refused where groups cannot be frozen."""
        found = self._root()
        if found is None:
            raise Refused("this host has no cgroup hierarchy that can freeze")
        if unit:
            require_pystemd(cgroup)
        root, kind = found
        identity = identity_of(root, cgroup)
        return Knob(kind="unit-freeze" if unit else kind, target=cgroup, identity=identity)

    def fields(self, amounts: Amounts, before: Fields) -> Fields:
        """Frozen. Refused for what somebody else has frozen: it is theirs to thaw."""
        if before[STATE] != RUNNING:
            raise Refused("somebody else has frozen it already", promise=3)
        return {STATE: FROZEN}

    def read(self, knob: Knob) -> Fields:
        """How it stands. What is on its way counts as there."""
        if knob.kind == "unit-freeze":
            told = str(read_unit(unit_name(knob), "FreezerState"))
            return {STATE: FROZEN if told in ("frozen", "freezing") else RUNNING}
        group = self._group(knob)
        if knob.kind == "freeze-v2":
            return {STATE: FROZEN if _read(group / "cgroup.freeze") == "1" else RUNNING}
        return {STATE: RUNNING if _read(group / "freezer.state") == "THAWED" else FROZEN}

    def write(self, knob: Knob, fields: Fields) -> None:
        """Freeze or thaw. A unit that stands so already is left: systemd would refuse."""
        state = fields[STATE]
        if knob.kind == "unit-freeze":
            if self.read(knob)[STATE] != state:
                unit = unit_name(knob).encode()
                call_manager(unit_name(knob), _freezing(unit) if state == FROZEN else _thaw(unit))
        elif knob.kind == "freeze-v2":
            value = "1" if state == FROZEN else "0"
            write_text(self._group(knob) / "cgroup.freeze", value, _FIRST_KERNEL)
        else:
            write_text(self._group(knob) / "freezer.state", _TO_V1[state], _FIRST_KERNEL)

    def _root(self) -> tuple[Path, Literal["freeze-v1", "freeze-v2"]] | None:
        """Every group of a cgroup2 mount that has controllers can be frozen; in hybrid mode
        limits, and so tenants, are known by their v1 groups."""
        if self._mounts.v2 is not None and self._mounts.v2_controllers:
            return self._mounts.v2, "freeze-v2"
        if "freezer" in self._mounts.v1:
            return self._mounts.v1["freezer"], "freeze-v1"
        return None

    def _group(self, knob: Knob) -> Path:
        found = self._root()
        if found is None:
            raise KernelError("the cgroup hierarchy that can freeze is not mounted now")
        return group_of(found[0], knob)


def _freezing(unit: bytes) -> Callable[[Any], Any]:
    return lambda manager: manager.FreezeUnit(unit)


def _thaw(unit: bytes) -> Callable[[Any], Any]:
    return lambda manager: manager.ThawUnit(unit)


def _read(path: Path) -> str:
    return read_text(path, _FIRST_KERNEL).strip()
