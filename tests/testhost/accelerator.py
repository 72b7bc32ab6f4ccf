"""KVM where it really works, software emulation where not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .qmp import Qemu, QemuEndedError

_TRIAL_SECONDS = 15.0


@dataclass(frozen=True)
class Accelerator:
    """How instructions of the guest are carried out, and how patient to be with it."""

    name: str
    arguments: tuple[str, ...]
    boot_seconds: float
    # What takes a second with KVM can take this many.
    slowness: float


# A host CPU as KVM shows it can have a register that a nested KVM refuses to set (seen: 0x10a).
KVM = Accelerator("kvm", ("-accel", "kvm", "-cpu", "host,arch-capabilities=off"), 120.0, 1.0)
TCG = Accelerator("tcg", ("-accel", "tcg,thread=multi", "-cpu", "max"), 300.0, 6.0)


def choose(kernel: Path) -> Accelerator:
    """FAIRUSE_TEST_HOST_ACCEL=kvm or tcg decides; without it, KVM if that kernel starts with it."""
    asked = os.environ.get("FAIRUSE_TEST_HOST_ACCEL", "")
    if asked not in ("", KVM.name, TCG.name):
        raise ValueError(f"FAIRUSE_TEST_HOST_ACCEL: expected kvm or tcg, found {asked!r}")
    if asked:
        return KVM if asked == KVM.name else TCG
    return KVM if _kvm_starts(kernel) else TCG


def _kvm_starts(kernel: Path) -> bool:
    """Tried once for each boot of this machine.

    A /dev/kvm that opens, and even firmware that runs, say little inside a virtual machine: some
    of them never get as far as the kernel's first line.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False

    def build(folder: Path) -> None:
        (folder / "starts").write_text("yes" if _panics_for_want_of_a_root(kernel) else "no")

    boot_id = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    tried = cache.entry("kvm", [boot_id, str(kernel).encode(), repr(KVM).encode()], build)
    return (tried / "starts").read_text() == "yes"


def _panics_for_want_of_a_root(kernel: Path) -> bool:
    """Whether a kernel that has no root to mount gets to its end, which takes a second or two."""
    arguments = ["-machine", "q35", *KVM.arguments, "-m", "512", "-nodefaults"]
    arguments += ["-display", "none", "-kernel", str(kernel), "-append", "panic=-1", "-no-reboot"]
    try:
        trial = Qemu(arguments)
    except QemuEndedError:
        return False
    try:
        trial.command("cont")
        return trial.ended(_TRIAL_SECONDS)
    except QemuEndedError:
        return False
    finally:
        trial.kill()
