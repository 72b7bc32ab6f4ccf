"""A libvirt in memory: its errors, its odd values, and a daemon that can hang or be away.

tests/booted/test_libvirt.py asks the same of the real one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairuse_agent.limiter.kernel.libvirt_calls import Libvirt
from fairuse_agent.limiter.kernel.patience import Patience

NO_QUOTA = 2**44 - 1
NO_DOMAIN, CANNOT_CONNECT = 42, 38


class DoubleError(Exception):
    """As libvirt's own: with a number."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self._code = code

    def get_error_code(self) -> int:
        return self._code


class DomainDouble:
    """One running domain with a disk and an interface."""

    def __init__(self, number: int, vcpus: int = 2, interface: str = "") -> None:
        self.number = number
        self.vcpu_seconds = [0.0] * vcpus
        self.scheduler = {"cpu_shares": 100, "vcpu_period": 100_000, "vcpu_quota": NO_QUOTA}
        self.tunes: dict[str, dict[str, int]] = {"vda": {}, "vdb": {}}
        self.stats = {"vda": (0, 0, 0, 0, -1), "vdb": (0, 0, 0, 0, -1)}
        self.bandwidth = dict.fromkeys(
            [f"{way}.{n}" for way in ("inbound", "outbound") for n in ("average", "peak", "burst")],
            0,
        )
        self.bandwidth["inbound.floor"] = 0
        self.interface = interface
        self.shared_group = ""
        self.flags: set[int] = set()

    def UUIDString(self) -> str:  # noqa: N802  # libvirt's name
        return f"uuid-{self.number}"

    def XMLDesc(self) -> str:  # noqa: N802  # libvirt's name
        group = f"<iotune><group_name>{self.shared_group}</group_name></iotune>"
        disks = "".join(
            f"<disk device='disk'><target dev='{name}'/>{group if self.shared_group else ''}</disk>"
            for name in self.tunes
        )
        return (
            f"<domain><devices>{disks}<disk device='cdrom'><target dev='sda'/></disk>"
            f"<interface><target dev='{self.interface}'/></interface></devices></domain>"
        )

    def vcpus(self) -> tuple[list[tuple[int, int, int, int]], list[object]]:
        return [(n, 1, int(s * 1e9), 0) for n, s in enumerate(self.vcpu_seconds)], []

    def schedulerParametersFlags(self, flags: int) -> dict[str, int]:  # noqa: N802  # libvirt's name
        self.flags.add(flags)
        return dict(self.scheduler)

    def setSchedulerParametersFlags(self, wanted: dict[str, int], flags: int) -> None:  # noqa: N802  # libvirt's name
        self.flags.add(flags)
        for name, value in wanted.items():
            if name == "vcpu_quota" and 0 <= value < 1000:
                raise DoubleError(8, f"vcpu_quota {value} must be in range")
            if name == "vcpu_period" and not 1000 <= value <= 1_000_000:
                raise DoubleError(8, f"vcpu_period {value} must be in range")
            self.scheduler[name] = NO_QUOTA if value < 0 else value

    def blockIoTune(self, disk: str, flags: int) -> dict[str, int]:  # noqa: N802  # libvirt's name
        self.flags.add(flags)
        return dict(self.tunes[disk])

    def setBlockIoTune(self, disk: str, wanted: dict[str, int], flags: int) -> None:  # noqa: N802  # libvirt's name
        self.flags.add(flags)
        for unit in ("bytes_sec", "iops_sec"):
            both = wanted.get(f"total_{unit}") and (
                wanted.get(f"read_{unit}") or wanted.get(f"write_{unit}")
            )
            if both:
                raise DoubleError(8, "total and read/write cannot be set at the same time")
        self.tunes[disk] |= wanted

    def blockStats(self, disk: str) -> tuple[int, int, int, int, int]:  # noqa: N802  # libvirt's name
        return self.stats[disk]

    def interfaceParameters(self, device: str, flags: int) -> dict[str, int]:  # noqa: N802  # libvirt's name
        assert device == self.interface
        self.flags.add(flags)
        return dict(self.bandwidth)

    def setInterfaceParameters(self, device: str, wanted: dict[str, int], flags: int) -> None:  # noqa: N802  # libvirt's name
        assert device == self.interface
        self.flags.add(flags)
        self.bandwidth |= wanted


class LibvirtDouble:
    """What `import libvirt` gives, and the connection that it opens."""

    libvirtError = DoubleError  # noqa: N815  # libvirt's name

    def __init__(self, *domains: DomainDouble) -> None:
        self.domains = {domain.number: domain for domain in domains}
        self.away = False
        self.hang: Callable[[int], bool] = lambda number: False
        self.released = threading.Event()

    def open(self, uri: str) -> LibvirtDouble:
        assert uri == "qemu:///system"
        if self.away:
            raise DoubleError(CANNOT_CONNECT, "Failed to connect socket")
        return self

    def close(self) -> None: ...

    def lookupByID(self, number: int) -> DomainDouble:  # noqa: N802  # libvirt's name
        if self.hang(number):
            self.released.wait(30)
        if number not in self.domains:
            raise DoubleError(NO_DOMAIN, f"Domain not found: no domain with matching id {number}")
        return self.domains[number]

    def lookupByUUIDString(self, uuid: str) -> DomainDouble:  # noqa: N802  # libvirt's name
        found = [domain for domain in self.domains.values() if domain.UUIDString() == uuid]
        if not found:
            raise DoubleError(NO_DOMAIN, f"Domain not found: no domain with matching uuid {uuid}")
        return found[0]

    def listAllDomains(self, flags: int) -> list[DomainDouble]:  # noqa: N802  # libvirt's name
        assert flags == 1
        return list(self.domains.values())


def libvirt_of(library: Any, socket: Path, patience: Patience | None = None) -> Libvirt:
    """The limiter's side of it; `socket` is any file that exists."""
    return Libvirt(library, (socket,), patience or Patience("libvirtd", 0.3, 0.05))
