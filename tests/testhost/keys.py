"""The key that opens every test host of one cache: made here, used nowhere else."""

from __future__ import annotations

from pathlib import Path

from . import cache
from .commands import run


def private_key() -> Path:
    """The private key's file; the public one is beside it, with `.pub`."""

    def build(folder: Path) -> None:
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "fairuse test host"]
        run([*make, "-f", folder / "id"], timeout_seconds=30)

    return cache.entry("key", [b"ed25519"], build) / "id"
