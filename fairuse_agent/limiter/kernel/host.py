"""The real kernel of this host, behind the one face that the keeper knows."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Protocol

from fairuse_agent.limiter.kernel import cgroupnet, traffic
from fairuse_agent.limiter.kernel.cgroupnet import CgroupPolicer, CgroupShaper
from fairuse_agent.limiter.kernel.cpu import CpuFiles
from fairuse_agent.limiter.kernel.freezer import Freezer
from fairuse_agent.limiter.kernel.io import DiskFiles
from fairuse_agent.limiter.kernel.knobs import Amounts, Fields, Gone, KernelError, Knob, Refused
from fairuse_agent.limiter.kernel.libvirt_calls import Libvirt, domain_id
from fairuse_agent.limiter.kernel.libvirt_cpu import VcpuQuotas
from fairuse_agent.limiter.kernel.libvirt_disk import DiskTunes
from fairuse_agent.limiter.kernel.libvirt_net import Bandwidths
from fairuse_agent.limiter.kernel.mounts import Mounts, checked, read_mounts
from fairuse_agent.limiter.kernel.probe import IngressWay, Probed, describe, probe
from fairuse_agent.limiter.kernel.systemd import SystemdUnits, unit_of
from fairuse_agent.limiter.kernel.tables import IN, OUT, Tables, Way
from fairuse_agent.limiter.kernel.unit_disk import UnitDisks
from fairuse_agent.limiter.targets import Targets
from fairuse_protocol.limits import Held, TenantPlace
from fairuse_protocol.messages import Allowance, Resource

_CGROUP_WAYS = {OUT: "nftables into an HTB class", IN: "nftables limit"}
_OWNERS_WAYS = {
    "unit-cpu": "systemd CPUQuotaPerSecUSec",
    "unit-disk": "systemd IO*Max",
    "libvirt-cpu": "libvirt vcpu_quota",
    "libvirt-disk": "libvirt iotune",
    "libvirt-in": "libvirt bandwidth",
    "libvirt-out": "libvirt bandwidth",
}
_NO_WAY = "none: no cgroup hierarchy here has the controller"


class Hand(Protocol):
    """What knows a kind of knob; `Kernel` says what each method means."""

    def fields(self, amounts: Amounts, before: Fields, /) -> Fields: ...

    def read(self, knob: Knob, /) -> Fields: ...

    def write(self, knob: Knob, fields: Fields, /) -> None: ...


class HostKernel:
    """Sends each knob to the module that knows its kind."""

    def __init__(
        self,
        mounts: Mounts | None = None,
        probed: Probed | None = None,
        targets: Targets | None = None,
        libvirt: Libvirt | None = None,
    ) -> None:
        self._targets = Targets() if targets is None else targets
        self.mounts = read_mounts() if mounts is None else mounts
        self._probed = probe() if probed is None else probed
        self._cpu = CpuFiles(self.mounts)
        self._disk = DiskFiles(self.mounts)
        self._units = SystemdUnits()
        self._libvirt = Libvirt() if libvirt is None else libvirt
        self._vcpus = VcpuQuotas(self._libvirt, self.mounts)
        self._domain_disks = DiskTunes(self._libvirt, self.mounts)
        self._bandwidths = Bandwidths(self._libvirt)
        self._domains: dict[str, VcpuQuotas | DiskTunes | Bandwidths] = {
            "libvirt-cpu": self._vcpus,
            "libvirt-disk": self._domain_disks,
            "libvirt-in": self._bandwidths,
            "libvirt-out": self._bandwidths,
        }
        self._unit_disks = UnitDisks(self.mounts)
        self._freezer = Freezer(self.mounts)
        self._tables = Tables(self.mounts)
        self._sockets: dict[str, CgroupShaper | CgroupPolicer] = {
            OUT: CgroupShaper(self._tables),
            IN: CgroupPolicer(self._tables),
        }
        # For lifting, any way will do: what stands is read from the kernel.
        way = self._probed.ingress or IngressWay(police=False, classifier="u32")
        self._ingress = traffic.Ingress(way)
        self._hands: dict[str, Hand] = {
            **dict.fromkeys(("cpu-v1", "cpu-v2"), self._cpu),
            **dict.fromkeys(("disk-v1", "disk-v2"), self._disk),
            **dict.fromkeys(("freeze-v1", "freeze-v2", "unit-freeze"), self._freezer),
            "unit-cpu": self._units,
            "unit-disk": self._unit_disks,
            "shaper": traffic.Shaper(),
            "ingress": self._ingress,
            **self._sockets,
        }

    def ways(self) -> dict[str, str]:
        """The means for each resource."""
        return {
            "cpu": self._cpu.way() or _NO_WAY,
            "disk": self._disk.way() or _NO_WAY,
            **describe(self._probed),
            "sockets": cgroupnet.way(),
        }

    def way(self, knob: Knob) -> str:
        """The means that a knob stands for."""
        if knob.kind in _CGROUP_WAYS:
            return f"{_CGROUP_WAYS[knob.kind]} on {knob.device}"
        if knob.kind in _OWNERS_WAYS:
            return _OWNERS_WAYS[knob.kind]
        resource = {"cpu": "cpu", "disk": "disk", "shaper": "net-in", "ingress": "net-out"}
        return self.ways()[resource[knob.kind.partition("-")[0]]]

    def exists(self, place: TenantPlace) -> bool:
        """True when any cgroup (in any hierarchy) or interface of the tenant is there."""
        for cgroup in place.cgroups:
            try:
                below = checked(cgroup)
            except Refused:
                continue  # not a path that a tenant can live under
            if any((root / below).is_dir() for root in self.mounts.roots()):
                return True
        return any(self._has_interface(name) for name in place.interfaces)

    def capacity(self, resource: Resource) -> Allowance | None:
        """The cores online; of the rest the kernel does not know what tenants can have."""
        if resource == "cpu":
            return Allowance(cores=float(os.sysconf("SC_NPROCESSORS_ONLN")))
        return None

    def knobs(self, resource: Held, place: TenantPlace, disks: tuple[str, ...]) -> list[Knob]:
        """All knobs of the tenant's present targets."""
        targets = place.cgroups
        if resource in ("net-in", "net-out") and place.interfaces:
            targets = place.interfaces
            missing = (
                self._probed.ingress is None if resource == "net-out" else not (self._probed.shaper)
            )
            if missing:
                raise Refused(self.ways()[resource])
        found = []
        for target in targets:
            try:
                found += self._knobs_of(resource, target, disks)
            except Gone:
                continue  # it went since the agent looked; the rest still counts
        return found

    def measure(self, knob: Knob) -> dict[str, float]:
        """Counters of what the knob would limit."""
        if knob.kind in ("shaper", "ingress", "libvirt-in", "libvirt-out"):
            return traffic.measure(knob)
        if knob.kind in self._sockets:
            return {"bytes": float(self._tables.moved_bytes(knob))}
        if knob.kind == "libvirt-disk":
            return self._domain_disks.measure(knob)
        if knob.kind == "libvirt-cpu":
            counters = self._cpu.measure(knob.target)
            self._vcpus.measure(knob, counters["cores"])
            return counters
        if knob.kind in ("disk-v1", "disk-v2"):
            return self._disk.measure(knob)
        if knob.kind == "unit-disk":
            return self._unit_disks.measure(knob)
        return self._cpu.measure(knob.target)

    def fields(self, knob: Knob, amounts: Amounts, before: Fields) -> Fields:
        """How the knob has to stand for these amounts."""
        domains = self._domains.get(knob.kind)
        if domains is not None:
            return domains.fields(knob, amounts, before)
        return self._hand(knob).fields(amounts, before)

    def read(self, knob: Knob) -> Fields:
        """How it stands."""
        return (self._domains.get(knob.kind) or self._hand(knob)).read(knob)

    def write(self, knob: Knob, fields: Fields) -> None:
        """Make it stand so."""
        (self._domains.get(knob.kind) or self._hand(knob)).write(knob, fields)

    def measure_only(self, knobs: Collection[Knob]) -> None:
        """Only nftables counts for us; all else is counted by the kernel anyway."""
        self._tables.keep_only(knobs)

    def clean_up(self, knob: Knob) -> None:
        """Remove our IFB and filter, our class and table; nothing else of ours stands outside
        what `read` tells."""
        if knob.kind == "ingress":
            self._ingress.clean_up(knob)
        elif knob.kind in self._sockets:
            self._sockets[knob.kind].clean_up(knob)

    def _knobs_of(self, resource: Held, target: str, disks: tuple[str, ...]) -> list[Knob]:
        is_cgroup = target.startswith("/") or resource not in ("net-in", "net-out")
        if is_cgroup:
            checked(target)
            objection = self._targets.objection_to_cgroup(target)
        else:
            objection = self._targets.objection_to_interface(target)
        if objection is not None:
            raise Refused(objection, promise=8)
        if is_cgroup and resource in ("net-in", "net-out"):
            return self._cgroup_knobs(OUT if resource == "net-out" else IN, target)
        if resource != "suspension" and self._libvirt.is_here():
            owned = self._knobs_of_domain(resource, target)
            if owned is not None:
                return owned
        if resource == "net-in":
            return [Knob(kind="shaper", target=target, identity=traffic.index_of(target))]
        if resource == "net-out":
            return [Knob(kind="ingress", target=target, identity=traffic.index_of(target))]
        unit = unit_of(target, self.mounts.v2)
        if resource == "suspension":
            return [self._freezer.knob(target, unit=unit is not None)]
        if unit is not None and resource == "disk":
            return self._unit_disks.knobs(target, disks)
        if unit is not None:
            return [self._units.knob(target, self.mounts)]
        if resource == "disk":
            return self._disk.knobs(target, disks)
        return [self._cpu.knob(target)]

    def _cgroup_knobs(self, kind: Way, cgroup: str) -> list[Knob]:
        uplinks = self._targets.uplinks()
        if not uplinks:
            raise Refused("there is no default route, so no uplink to limit the tenant on")
        for uplink in uplinks:
            objection = self._targets.objection_to_uplink(uplink)
            if objection is not None:
                raise Refused(objection, promise=8)
        return [self._tables.knob(kind, cgroup, uplink) for uplink in uplinks]

    def _knobs_of_domain(self, resource: Held, target: str) -> list[Knob] | None:
        """The knobs of a libvirt domain's scope or interface, None for what is no domain's."""
        if resource in ("net-in", "net-out"):
            knob = self._bandwidths.knob(resource, target)
            return None if knob is None else [knob]
        if domain_id(target) is None:
            return None
        if resource == "disk":
            return self._domain_disks.knobs(target)
        return [self._vcpus.knob(target)]

    def _hand(self, knob: Knob) -> Hand:
        hand = self._hands.get(knob.kind)
        if hand is None:
            raise KernelError(f"this program has no way to turn a {knob.kind}")
        return hand

    @staticmethod
    def _has_interface(name: str) -> bool:
        try:
            traffic.index_of(name)
        except (Gone, Refused):
            return False
        return True
