"""The systems that a test host can run."""

from __future__ import annotations

from dataclasses import dataclass

_SYSTEM = (
    "systemd systemd-sysv udev dbus libpam-systemd kmod openssh-server ca-certificates"
    " busybox python3 python3-venv iproute2 iputils-ping nftables postfix procps e2fsprogs"
)
_FOR_FAIRUSES_OWN_TESTS = (
    "iptables dnsmasq-base"
    " libvirt-daemon-system libvirt-clients libvirt-daemon-config-network"
    " qemu-system-x86 ipxe-qemu systemd-container"
    " lvm2 mdadm cryptsetup-bin dmsetup less nano docker.io lxc postgresql"
)
TO_BUILD_WHEELS = (
    "ca-certificates python3 python3-venv python3-dev gcc libc6-dev pkg-config"
    " libsystemd-dev libvirt-dev libldap-dev libsasl2-dev"
)


@dataclass(frozen=True)
class System:
    """One release of a distribution, of which Debian's tools make a root."""

    name: str
    suite: str
    packages: str
    """What a test host of it has. The cloud kernel has every module that limits need: htb, tbf,
    clsact, police, matchall, ifb, mirred, device mapper, RAID, and nftables' socket expression."""
    has_fairuse: bool = False
    """The image brings third parties' wheels, and the tests' own. Others are bare."""


DEBIAN_12 = System(
    "debian-12",
    "bookworm",
    f"{_SYSTEM} {_FOR_FAIRUSES_OWN_TESTS} linux-image-cloud-amd64",
    has_fairuse=True,
)
DEBIAN_13 = System("debian-13", "trixie", f"{_SYSTEM} linux-image-cloud-amd64")
UBUNTU_24 = System("ubuntu-24.04", "noble", f"{_SYSTEM} linux-image-virtual initramfs-tools")
"""Debian's tools take Ubuntu's packages only where Ubuntu's archive keyring is installed."""
SYSTEMS = {system.name: system for system in (DEBIAN_12, DEBIAN_13, UBUNTU_24)}
