"""The disk that a test host boots from: a system and, on Debian 12, third parties' wheels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import cache, keys, wheels
from .commands import run
from .systems import DEBIAN_12, System

_DISK_SIZE = "6G"
# A minute each on an idle machine; a busy one is given time.
_BUILD_SECONDS = 900.0
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


def image(system: System = DEBIAN_12) -> Image:
    """From the cache; the first time takes minutes, and again when a dependency changed."""
    packed, key = root(system.suite, system.packages), keys.private_key()
    wheelhouse = wheels.wheelhouse() if system.has_fairuse else None
    public_key = key.with_suffix(".pub")

    def build(folder: Path) -> None:
        given: list[str | Path] = [folder, packed, public_key, _DISK_SIZE]
        given += [wheelhouse] if wheelhouse else []
        run([_ASSEMBLE, *given], timeout_seconds=_BUILD_SECONDS)

    made_from = [_ASSEMBLE.read_bytes(), packed.parent.name.encode()]
    made_from += [wheelhouse.name.encode() if wheelhouse else b""]
    made_from += [public_key.read_bytes(), _DISK_SIZE.encode()]
    return Image(cache.entry("image", made_from, build))


def root(suite: str, packages: str) -> Path:
    """That system with these packages, unpacked and configured, as a tar file."""
    included = packages.split()

    def build(folder: Path) -> None:
        # Where packages come from is this machine's own affair: its own sources, if they are
        # that system's, and the distribution's otherwise.
        command = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root"]
        command += ["--aptopt=APT::Install-Recommends false"]
        command += ["--aptopt=Acquire::Check-Valid-Until false"]
        command += [f"--include={','.join(included)}", suite, str(folder / "root.tar")]
        run([*command, *_own_sources(suite)], timeout_seconds=_BUILD_SECONDS)

    return cache.entry("root", [suite.encode(), " ".join(included).encode()], build) / "root.tar"


def _own_sources(suite: str) -> list[str]:
    sources = Path("/etc/apt/sources.list.d")
    candidates = [
        Path("/etc/apt/sources.list"),
        *sources.glob("*.list"),
        *sources.glob("*.sources"),
    ]
    return [
        str(path)
        for path in candidates
        if path.is_file() and suite in (text := path.read_text()) and "debian" in text
    ]
