"""The real kernel of this host, behind the one face that the keeper knows."""

from __future__ import annotations

import os

from fairuse_agent.limiter.kernel import traffic
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
from fairuse_agent.limiter.kernel.unit_disk import UnitDisks
from fairuse_agent.limiter.targets import Targets
from fairuse_protocol.limits import Held, TenantPlace
from fairuse_protocol.messages import Allowance, Resource

_LIBVIRT_WAYS = {
    "libvirt-cpu": "libvirt vcpu_quota",
    "libvirt-disk": "libvirt iotune",
    "libvirt-in": "libvirt bandwidth",
    "libvirt-out": "libvirt bandwidth",
}
_NO_WAY = "none: no cgroup hierarchy here has the controller"


Hand = CpuFiles | DiskFiles | SystemdUnits | UnitDisks | Freezer | traffic.Shaper | traffic.Ingress
"""What knows one kind of knob."""


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
        self._shaper = traffic.Shaper()
        # For lifting, any way will do: what stands is read from the kernel.
        way = self._probed.ingress or IngressWay(police=False, classifier="u32")
        self._ingress = traffic.Ingress(way)

    def ways(self) -> dict[str, str]:
        """The means for each resource."""
        return {
            "cpu": self._cpu.way() or _NO_WAY,
            "disk": self._disk.way() or _NO_WAY,
            **describe(self._probed),
        }

    def way(self, knob: Knob) -> str:
        """The means that a knob stands for."""
        if knob.kind == "unit-cpu":
            return "systemd CPUQuotaPerSecUSec"
        if knob.kind in _LIBVIRT_WAYS:
            return _LIBVIRT_WAYS[knob.kind]
        if knob.kind == "unit-disk":
            return "systemd IO*Max"
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
        if resource in ("net-in", "net-out"):
            missing = (
                self._probed.ingress is None if resource == "net-out" else not (self._probed.shaper)
            )
            if missing:
                raise Refused(self.ways()[resource])
        targets = place.interfaces if resource in ("net-in", "net-out") else place.cgroups
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

    def drifted(self, knob: Knob, amounts: Amounts) -> bool:
        """Only the one quota for all of a domain's virtual CPUs depends on how they are used."""
        return knob.kind == "libvirt-cpu" and self._vcpus.drifted(knob, amounts)

    def read(self, knob: Knob) -> Fields:
        """How it stands."""
        return (self._domains.get(knob.kind) or self._hand(knob)).read(knob)

    def write(self, knob: Knob, fields: Fields) -> None:
        """Make it stand so."""
        (self._domains.get(knob.kind) or self._hand(knob)).write(knob, fields)

    def clean_up(self, knob: Knob) -> None:
        """Remove our IFB and filter; nothing else of ours stands outside what `read` tells."""
        if knob.kind == "ingress":
            self._ingress.clean_up(knob)

    def _knobs_of(self, resource: Held, target: str, disks: tuple[str, ...]) -> list[Knob]:
        if resource not in ("net-in", "net-out"):
            checked(target)
            objection = self._targets.objection_to_cgroup(target)
        else:
            objection = self._targets.objection_to_interface(target)
        if objection is not None:
            raise Refused(objection, promise=8)
        if self._libvirt.is_here():
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

    def _knobs_of_domain(self, resource: Resource, target: str) -> list[Knob] | None:
        """The knobs of a libvirt domain's scope or interface, None for what is no domain's."""
        if resource in ("net-in", "net-out"):
            knob = self._bandwidths.knob(resource, target)
            return None if knob is None else [knob]
        if domain_id(target) is None:
            return None
        if resource == "disk":
            return self._domain_disks.knobs(target)
        return [self._vcpus.knob(target)]

    def _hand(
        self, knob: Knob
    ) -> (
        CpuFiles | DiskFiles | SystemdUnits | UnitDisks | Freezer | traffic.Shaper | traffic.Ingress
    ):
        if knob.kind in ("cpu-v1", "cpu-v2"):
            return self._cpu
        if knob.kind in ("disk-v1", "disk-v2"):
            return self._disk
        if knob.kind == "unit-cpu":
            return self._units
        if knob.kind == "unit-disk":
            return self._unit_disks
        if knob.kind in ("freeze-v1", "freeze-v2", "unit-freeze"):
            return self._freezer
        if knob.kind == "shaper":
            return self._shaper
        if knob.kind == "ingress":
            return self._ingress
        raise KernelError(f"this program has no way to turn a {knob.kind}")

    @staticmethod
    def _has_interface(name: str) -> bool:
        try:
            traffic.index_of(name)
        except (Gone, Refused):
            return False
        return True
