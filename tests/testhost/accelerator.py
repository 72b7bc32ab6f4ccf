"""KVM where it really works, software emulation where not."""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass

from .qmp import Qemu, QemuEndedError


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


@functools.cache
def choose() -> Accelerator:
    """FAIRUSE_TEST_HOST_ACCEL=kvm or tcg decides; without it, KVM if a trial machine runs."""
    asked = os.environ.get("FAIRUSE_TEST_HOST_ACCEL", "")
    if asked not in ("", KVM.name, TCG.name):
        raise ValueError(f"FAIRUSE_TEST_HOST_ACCEL: expected kvm or tcg, found {asked!r}")
    if asked:
        return KVM if asked == KVM.name else TCG
    return KVM if _kvm_runs() else TCG


def _kvm_runs() -> bool:
    """A firmware that runs for a moment; that /dev/kvm is there says little inside a VM."""
    trial = Qemu(["-machine", "q35", *KVM.arguments, "-nodefaults", "-display", "none"])
    try:
        trial.command("cont")
        time.sleep(0.5)
        return bool(trial.command("query-status")["status"] == "running")
    except QemuEndedError:
        return False
    finally:
        trial.kill()
