"""Disks of libvirt domains: QEMU's own throttling of each, by libvirt.

It holds whatever is behind a disk, also what no cgroup sees (a Ceph RBD image). Unlike cgroups it
knows a limit for reads and writes together, which is what an order is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, Gone, KernelError, Knob, Refused
from fairuse_agent.limiter.kernel.libvirt_calls import (
    LIVE,
    Libvirt,
    check_scope,
    devices,
    domain_id,
)
from fairuse_agent.limiter.kernel.mounts import Mounts

Result = TypeVar("Result")

_UNIT_OF_STREAM = {"bytes": "bytes_sec", "operations": "iops_sec"}
_WAYS = ("total", "read", "write")
_BASES = tuple(f"{way}_{unit}" for unit in _UNIT_OF_STREAM.values() for way in _WAYS)
_BURSTS = tuple(f"{base}_max" for base in _BASES)
_LENGTHS = tuple(f"{burst}_length" for burst in _BURSTS)
NO_LIMIT = "0"


class DiskTunes:
    """The throttle of one disk of a running domain (libvirt's <iotune>, 0 for none).

    A knob's device is the disk's target in the domain, such as vda.
    """

    def __init__(self, libvirt: Libvirt, mounts: Mounts) -> None:
        self._libvirt = libvirt
        self._mounts = mounts
        self._disks: dict[tuple[str, int], list[str]] = {}

    def knobs(self, cgroup: str) -> list[Knob]:
        """One knob a disk of the domain with this scope; as last seen while libvirtd is away.
        Raises Gone, KernelError, or Refused for a throttle that several disks share."""
        scope = (cgroup, check_scope(self._mounts, cgroup))
        try:
            self._disks[scope] = self._ask(*scope, _disks_of)
        except KernelError:
            if scope not in self._disks:
                raise
        return [
            Knob(kind="libvirt-disk", target=cgroup, identity=scope[1], device=disk)
            for disk in self._disks[scope]
        ]

    def measure(self, knob: Knob) -> dict[str, float]:
        """Bytes and operations that the guest read and wrote, by QEMU's count."""
        reads, read_bytes, writes, written_bytes, _ = self._ask(
            knob.target, knob.identity, lambda domain: domain.blockStats(knob.device)
        )
        return {"bytes": float(read_bytes + written_bytes), "operations": float(reads + writes)}

    def fields(self, _: Knob, amounts: Amounts, before: Fields) -> Fields:
        """The throttles for these amounts, without bursts. A tighter one of the domain's owner
        stays; Refused where that leaves nothing to do, or would be undone."""
        wanted = dict(before)
        for stream, value in amounts.items():
            unit = _UNIT_OF_STREAM[stream]
            total = max(1, round(value))
            standing = int(before[f"total_{unit}"])
            if 0 < standing <= total:
                continue
            for way in ("read", "write"):
                owners = int(before[f"{way}_{unit}"])
                if 0 < owners < total:
                    raise Refused(
                        f"its <iotune> has {way}_{unit} {owners}, which the {total} ordered for"
                        " reads and writes together would have to replace: QEMU takes only one"
                        " of them",
                        promise=3,
                    )
            for way in _WAYS:
                wanted[f"{way}_{unit}"] = str(total) if way == "total" else NO_LIMIT
                wanted[f"{way}_{unit}_max"] = NO_LIMIT
                wanted[f"{way}_{unit}_max_length"] = NO_LIMIT
        if wanted == before:
            raise Refused("its <iotune> throttles it as tightly already", promise=3)
        return wanted

    def read(self, knob: Knob) -> Fields:
        """How the disk stands. Without a burst its length means nothing."""
        told = self._ask(
            knob.target, knob.identity, lambda domain: domain.blockIoTune(knob.device, LIVE)
        )
        fields = {name: str(told.get(name, 0)) for name in (*_BASES, *_BURSTS)}
        for length, burst in zip(_LENGTHS, _BURSTS, strict=True):
            fields[length] = NO_LIMIT if fields[burst] == NO_LIMIT else str(told.get(length, 0))
        return fields

    def write(self, knob: Knob, fields: Fields) -> None:
        """Set it for what runs now, all in one call; a length only beside its burst."""
        wanted = {name: int(fields[name]) for name in (*_BASES, *_BURSTS)}
        wanted |= {name: int(fields[name]) for name in _LENGTHS if fields[name] != NO_LIMIT}
        self._ask(
            knob.target,
            knob.identity,
            lambda domain: domain.setBlockIoTune(knob.device, wanted, LIVE),
        )

    def _ask(self, cgroup: str, identity: int, question: Callable[[Any], Result]) -> Result:
        number = domain_id(cgroup)
        if number is None:
            raise Gone(f"{cgroup} is no domain's scope")
        check_scope(self._mounts, cgroup, identity)
        return self._libvirt.ask(cgroup, lambda host: question(host.lookupByID(number)))


def _disks_of(domain: Any) -> list[str]:
    """The targets of its disks; a CD-ROM or floppy is not limited."""
    found, groups = [], list[str]()
    for disk in devices(domain, "disk"):
        target = disk.find("target")
        if disk.get("device", "disk") not in ("disk", "lun") or target is None:
            continue
        found.append(target.get("dev", ""))
        group = disk.findtext("iotune/group_name")
        if group is not None:
            groups.append(group)
    shared = {group for group in groups if groups.count(group) > 1}
    if shared:
        raise Refused(
            f"its disks share the throttle group {', '.join(sorted(shared))}, which is its owner's",
            promise=3,
        )
    return found
