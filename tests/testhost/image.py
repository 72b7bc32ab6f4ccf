"""The disk that every test host boots from: Debian 12, and third parties' wheels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import cache, keys, wheels
from .commands import run

SUITE = "bookworm"
_DISK_SIZE = "6G"
# A minute each on an idle machine; a busy one is given time.
_BUILD_SECONDS = 900.0
# The cloud kernel has every module that limits need: htb, tbf, clsact, police, matchall, ifb,
# mirred, device mapper, RAID, and nftables' socket expression for cgroups.
_PACKAGES = {
    "system": "systemd systemd-sysv udev dbus libpam-systemd kmod openssh-server ca-certificates",
    "kernel": "linux-image-cloud-amd64 busybox",
    "python": "python3 python3-venv",
    "network": "iproute2 iputils-ping nftables iptables dnsmasq-base",
    "guests": "libvirt-daemon-system libvirt-clients libvirt-daemon-config-network"
    " qemu-system-x86 ipxe-qemu systemd-container",
    "disks": "lvm2 mdadm cryptsetup-bin dmsetup e2fsprogs",
    "people": "procps less nano",
}
_ASSEMBLE = Path(__file__).with_name("assemble")


@dataclass(frozen=True)
class Image:
    """What a boot needs, all of it only read."""

    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.img"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd.img"

    @property
    def host_key(self) -> str:
        """Every machine of this image has the same one, known before the first connection."""
        return (self.folder / "host_key.pub").read_text()


def image() -> Image:
    """From the cache; the first time takes minutes, and again when a dependency changed."""
    root, wheelhouse, key = _root(), wheels.wheelhouse(), keys.private_key()
    public_key = key.with_suffix(".pub")

    def build(folder: Path) -> None:
        given = [folder, root, wheelhouse, public_key]
        run([_ASSEMBLE, *given, _DISK_SIZE], timeout_seconds=_BUILD_SECONDS)

    made_from = [_ASSEMBLE.read_bytes(), root.parent.name.encode(), wheelhouse.name.encode()]
    made_from += [public_key.read_bytes(), _DISK_SIZE.encode()]
    return Image(cache.entry("image", made_from, build))


def _root() -> Path:
    """Debian, unpacked and configured, as a tar file."""
    packages = " ".join(_PACKAGES.values()).split()

    def build(folder: Path) -> None:
        # Where packages come from is this machine's own affair: its own sources, if they are
        # Debian 12's, and Debian's otherwise.
        command = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root"]
        command += ["--aptopt=APT::Install-Recommends false"]
        command += ["--aptopt=Acquire::Check-Valid-Until false"]
        command += [f"--include={','.join(packages)}", SUITE, str(folder / "root.tar")]
        run([*command, *_own_sources()], timeout_seconds=_BUILD_SECONDS)

    return cache.entry("root", [SUITE.encode(), " ".join(packages).encode()], build) / "root.tar"


def _own_sources() -> list[str]:
    sources = Path("/etc/apt/sources.list.d")
    candidates = [
        Path("/etc/apt/sources.list"),
        *sources.glob("*.list"),
        *sources.glob("*.sources"),
    ]
    return [
        str(path)
        for path in candidates
        if path.is_file() and SUITE in (text := path.read_text()) and "debian" in text
    ]
