"""What the limiter may turn in the kernel, and what every way of turning it must offer.

A knob is one thing that can be read, written and put back: the CPU quota of one cgroup, the
throttle of one cgroup on one disk, the shaper of one interface. Its state is a few named fields,
which a crash may leave half written: a state is ours when every field of it holds either what
stood before or something that we wrote.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, Protocol

import msgspec

from fairuse_protocol.limits import Held, TenantPlace
from fairuse_protocol.messages import Allowance, Resource

KnobKind = Literal[
    "cpu-v1",
    "cpu-v2",
    "disk-v1",
    "disk-v2",
    "unit-cpu",
    "unit-disk",
    "libvirt-cpu",
    "libvirt-disk",
    "libvirt-in",
    "libvirt-out",
    "shaper",
    "ingress",
    "freeze-v1",
    "freeze-v2",
    "unit-freeze",
    "cgroup-out",
    "cgroup-in",
]

SEPARATE_FIELDS: frozenset[KnobKind] = frozenset({"disk-v1", "disk-v2", "unit-disk"})
"""Kinds whose fields are limits that do not depend on each other: when somebody changes one, it
is theirs, and the rest is still put back."""

Fields = dict[str, str]
"""The state of a knob, in the kernel's own words."""

Amounts = Mapping[str, float]
"""Figures by stream: "cores"; "bytes"; "bytes" and "operations"; or "read_bytes", "write_bytes",
"read_operations", "write_operations". As counters they are totals (core-seconds, bytes,
operations) that only grow; as a limit they are the same per second."""

STREAMS_OF_UNIT: dict[str, tuple[str, ...]] = {
    "cores": ("cores",),
    "bytes_per_second": ("bytes", "read_bytes", "write_bytes"),
    "operations_per_second": ("operations", "read_operations", "write_operations"),
}
"""Which streams share each figure of an allowance."""

LONGEST_INTERFACE_NAME = 15
"""IFNAMSIZ less its closing zero (linux/if.h)."""


class Knob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing in the kernel. `target` is a cgroup path or an interface.

    `identity` tells it from a later one of the same name (a cgroup's inode, an interface's
    index); `device` is "MAJ:MIN" of the whole disk, or its node for a unit; a libvirt domain's
    disk, or its uuid; or the uplink that a cgroup's traffic takes.
    """

    kind: KnobKind
    target: str
    identity: int
    device: str = ""


class Gone(Exception):
    """The cgroup or interface does not exist any more, or another has its name now."""


class KernelError(Exception):
    """The kernel or its owner did not do as asked. Says what was tried, where, what to do."""


class Refused(Exception):
    """This cannot or must not be limited here; the text is for the operator.

    `promise` is the number of the promise that stands against it, if one does.
    """

    def __init__(self, reason: str, promise: int | None = None) -> None:
        super().__init__(reason)
        self.promise = promise


class Kernel(Protocol):
    """What the keeper needs of a kernel. The double in the tests offers the same."""

    def ways(self) -> dict[str, str]:
        """Which means would be used for each resource, or why there is none."""

    def way(self, knob: Knob) -> str:
        """The means that this knob stands for, for a person."""

    def exists(self, place: TenantPlace) -> bool:
        """True when any cgroup or interface of the tenant is in the kernel now."""

    def capacity(self, resource: Resource) -> Allowance | None:
        """What the host has of a resource, where the kernel knows."""

    def knobs(self, resource: Held, place: TenantPlace, disks: tuple[str, ...]) -> list[Knob]:
        """What would have to be turned to limit this tenant. Missing targets are left out.

        Raises Refused for a place that must not be touched or a way that this host lacks.
        """

    def measure(self, knob: Knob) -> dict[str, float]:
        """Counters of what the knob would limit. Raises Gone, or Refused when it cannot tell."""

    def fields(self, knob: Knob, amounts: Amounts, before: Fields) -> Fields:
        """How the knob has to stand to hold these amounts, given how it stood before us.

        Raises Refused when what stands there is somebody else's and must stay.
        """

    def read(self, knob: Knob) -> Fields:
        """How it stands now. Raises Gone or KernelError."""

    def write(self, knob: Knob, fields: Fields) -> None:
        """Make it stand so, in an order that the kernel takes. Raises Gone or KernelError."""

    def measure_only(self, knobs: Collection[Knob]) -> None:
        """Nothing but these is measured any more: remove what was put there to measure others,
        by whatever process. Raises KernelError."""

    def clean_up(self, knob: Knob) -> None:
        """Remove what we had made beside a target that is gone or somebody else's now."""
