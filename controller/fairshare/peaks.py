"""The most that a host was seen to deliver: what its capacity is at least, and how near it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from controller.fairshare.figures import AMOUNTS, Floats

HALF_LIFE_SECONDS = 30 * 86400.0
"""A peak fades: what a disk can do depends on what is asked of it, and hosts are changed."""


class Peaks(NamedTuple):
    """What one host delivered at the most, as of a time."""

    at: float
    amounts: Floats
    """In the order of AMOUNTS."""


def no_peaks(at: float) -> Peaks:
    """Of a host that was never seen."""
    return Peaks(at, np.zeros(len(AMOUNTS)))


def faded(before: Peaks, at: float) -> Floats:
    """What is left of a peak at a later time; a report that comes late fades nothing."""
    left: Floats = before.amounts * 0.5 ** (max(0.0, at - before.at) / HALF_LIFE_SECONDS)
    return left


def follow(before: Peaks, delivered: Floats, ended_at: Floats) -> tuple[Floats, Peaks]:
    """The peak at the end of each of some intervals of one host, and the last as Peaks.

    `delivered` is (5, k), and `ended_at`, in order of time, (k). Fading by the same factor in the
    same time, a peak is a running maximum of figures that are scaled up by how late they are.
    """
    scale = np.exp2((ended_at - before.at) / HALF_LIFE_SECONDS)
    scaled = np.hstack([before.amounts[:, None], delivered * scale])
    peaks = np.maximum.accumulate(scaled, axis=1)[:, 1:] / scale
    return peaks, Peaks(float(ended_at[-1]), peaks[:, -1])
