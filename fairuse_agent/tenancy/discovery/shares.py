"""Weights from CPU shares: what the kernel itself divides by when processors are short."""

from __future__ import annotations

from pathlib import Path

_DEFAULT_WEIGHT, _DEFAULT_SHARES = 100, 1024
_LEAST = 0.01
"""`cpu.weight` is 0 for a group that only gets what is idle; weights must be over zero."""


class CpuShares:
    """Reads `cpu.weight` (v2) or `cpu.shares` (v1), as multiples of the default of each."""

    def __init__(self, v2: Path | None, cpu_v1: Path | None) -> None:
        self._files = tuple(
            (str(root), file, default)
            for root, file, default in (
                (v2, "cpu.weight", _DEFAULT_WEIGHT),
                (cpu_v1, "cpu.shares", _DEFAULT_SHARES),
            )
            if root is not None
        )

    def weight(self, path: str) -> tuple[float, str]:
        """The weight of the cgroup at `path` and how it is known; 1 where it has no shares."""
        for root, file, default in self._files:
            try:
                with open(f"{root}{path}/{file}", "rb", buffering=0) as opened:  # noqa: PTH123 (hot: a thousand in one round)
                    shares = int(opened.read())
            except (OSError, ValueError):
                continue  # Gone meanwhile, or without a cpu controller of its own.
            return max(_LEAST, shares / default), f"{file} {shares}"
        return 1.0, "no CPU shares of its own"
