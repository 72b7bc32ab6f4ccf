"""libvirt's domains: KVM and QEMU guests, also under OpenStack.

A scope's name holds the domain's number and the beginning of its name. Everything else comes
from the domain's live XML, by `LibvirtWatch`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fairuse_agent.tenancy.discovery.domain_xml import Domain
from fairuse_agent.tenancy.discovery.kind import Finding, Kind, unescaped
from fairuse_agent.tenancy.discovery.libvirt_watch import LibvirtWatch

_GUEST = re.compile(
    r".*/machine-qemu\\x2d(?P<id>\d+)\\x2d(?P<name>.+)\.scope"
    r"|.*/qemu-(?P<plain_id>\d+)-(?P<plain_name>.+)\.libvirt-qemu"
)
_VCPU = re.compile(r"vcpu\d+")
_PATIENCE_SECONDS = 10.0
"""How long the agent's start waits for libvirt on a host that has guests. Rounds never wait."""


class Libvirt(Kind):
    """The tenant is the OpenStack project where Nova put one, else the domain's name.

    The weight is the number of vCPUs: what a customer rents. CPU shares are not, because Nova
    and libvirt count them differently under the two versions of cgroups.
    """

    name = "libvirt"
    places = (
        r"/machine.slice/machine-qemu\x2d*\x2d{tenant}.scope",
        r"/machine.slice/*.slice/machine-qemu\x2d*\x2d{tenant}.scope",
        "/machine/qemu-*-{tenant}.libvirt-qemu",
    )
    unknown = "libvirt has told of no such domain"

    def __init__(self, roots: Sequence[Path], watch: LibvirtWatch | None = None) -> None:
        """`roots` are mounts of hierarchies in which guests' vCPU cgroups may show."""
        super().__init__()
        self._roots = tuple(roots)
        self._watch = watch or LibvirtWatch()
        self._domains: Mapping[int, Domain] = {}
        self._by_interface: dict[str, Domain] = {}
        self._answered = False
        self._given_up = False
        """libvirt never answered yet, and will not now: scopes' names are all there is."""
        self._needed = False
        if any(self._has_guests(root) for root in self._roots):
            self._need(_PATIENCE_SECONDS)
            self.look()

    def of_cgroup(self, path: str) -> Finding | None:
        """A domain's. One that libvirt has not told of (yet) is nobody's; where libvirt itself
        does not answer, the scope's name is all there is."""
        found = _GUEST.fullmatch(path)
        if found is None:
            return None
        self._need(0)
        domain = self._domains.get(int(found["id"] or found["plain_id"]))
        if domain is not None:
            return finding_of(domain)
        if not self._given_up:
            return None
        name = unescaped(found["name"]) if found["name"] else found["plain_name"]
        vcpus = self._vcpu_cgroups(path)
        why = "vCPU cgroups" if vcpus else "vCPUs unknown"
        return Finding(name, float(vcpus or 1), f"domain {name}, by its scope's name; {why}")

    def of_interface(self, name: str) -> Finding | None:
        """Whose the target device of a domain's interface is."""
        domain = self._by_interface.get(name)
        return None if domain is None else finding_of(domain)

    def look(self) -> bool:
        """Take the watch's last snapshot."""
        answered, domains = self._watch.answered, self._watch.domains
        given_up = not answered and bool(self._watch.trouble())
        if domains is self._domains and (answered, given_up) == (self._answered, self._given_up):
            return False
        self._answered, self._given_up, self._domains = answered, given_up, domains
        self._by_interface = {
            interface: domain for domain in domains.values() for interface in domain.interfaces
        }
        return True

    def notes(self) -> Sequence[str]:
        """Tells when libvirt does not answer although there are guests."""
        trouble = self._watch.trouble() if self._needed else ""
        if not trouble:
            return ()
        if self._answered:
            return (f"libvirt: domains are as last told: {trouble}",)
        return (
            "libvirt: guests are named by their scopes, no interface is known to be theirs:"
            f" {trouble}",
        )

    def close(self) -> None:
        """End the watch."""
        self._watch.close()

    def _need(self, patience_seconds: float) -> None:
        """A host without guests is never asked."""
        if not self._needed:
            self._needed = True
            self._watch.start(patience_seconds)

    def _has_guests(self, root: Path) -> bool:
        return any(
            self.claims("/" + str(path.relative_to(root)))
            for parent in ("machine.slice", "machine")
            for path in (*(root / parent).glob("*"), *(root / parent).glob("*.slice/*"))
        )

    def _vcpu_cgroups(self, path: str) -> int:
        """libvirt makes one for each; below `libvirt/` since 7.1."""
        for root in self._roots:
            for below in ("/libvirt", ""):
                try:
                    names = os.listdir(f"{root}{path}{below}")  # noqa: PTH208 (names only)
                except OSError:
                    continue
                if count := sum(_VCPU.fullmatch(name) is not None for name in names):
                    return count
        return 0


def finding_of(domain: Domain) -> Finding:
    """Whose a domain is, by its XML."""
    why = f"domain {domain.name}; {domain.vcpus} vCPUs"
    if not domain.project:
        return Finding(domain.name, float(domain.vcpus), why)
    nova = f"project {domain.project_name} of user {domain.user}, {why}"
    return Finding(domain.project, float(domain.vcpus), nova)
