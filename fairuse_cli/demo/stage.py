"""What the story is played on: three tenants whose loads can be set and whose use can be read.

Two stages: this machine's kernel (`world.py`), and a simulated one (`simulation.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from fairuse_protocol.messages import Resource

HOST = "demo-host"
GREEDY, *_QUIET = TENANTS = ("alder", "birch", "cedar")
NEIGHBOURS = tuple(_QUIET)
UPLINK_BYTES_PER_SECOND = 25e6
"""200 Mbit/s: enough to measure well, little enough for one core to fill."""
_NORMAL_CORE_SHARE = 0.15
"""Of a core, a thread; with as many threads as cores, 45 % of one third of the machine."""
_NORMAL_BYTES_PER_SECOND = 1e6
_GREEDY_THREADS_PER_CORE = 2
_GREEDY_STREAMS = 4

StageKind = Literal["real", "simulated"]


@dataclass(frozen=True)
class Load:
    """What a tenant asks for: shares of a core a thread, and rates of streams in bytes per
    second (None: as fast as it goes)."""

    cpu: tuple[float, ...] = ()
    send: tuple[float | None, ...] = ()
    fetch: tuple[float | None, ...] = ()


def normal_load(cores: int) -> Load:
    """Steady work well within a third of the machine."""
    return Load(cpu=(_NORMAL_CORE_SHARE,) * cores, send=(_NORMAL_BYTES_PER_SECOND,))


def cpu_greed(cores: int) -> Load:
    """All that the cores can do, and as much again waiting for them."""
    return Load(cpu=(1.0,) * cores * _GREEDY_THREADS_PER_CORE, send=(_NORMAL_BYTES_PER_SECOND,))


def network_greed(cores: int) -> Load:
    """Normal work, and all that the uplink can carry."""
    return Load(cpu=(_NORMAL_CORE_SHARE,) * cores, send=(None,) * _GREEDY_STREAMS)


@dataclass(frozen=True)
class Reading:
    """One tenant's counters at one moment, in seconds and bytes; directions are the tenant's.

    `goodput` is the payload that the far end has received from it, None if it was not asked.
    """

    at: float
    cpu: float
    waiting: float
    net_out: float
    net_in: float
    goodput: float | None = None


@dataclass(frozen=True)
class Use:
    """One tenant between two readings: cores, share of the time waiting, bytes per second."""

    seconds: float
    cores: float
    waiting: float
    net_out: float
    net_in: float
    goodput: float


def between(earlier: Reading, later: Reading) -> Use:
    """The averages from `earlier` to `later`."""
    seconds = later.at - earlier.at
    return Use(
        seconds=seconds,
        cores=(later.cpu - earlier.cpu) / seconds,
        waiting=(later.waiting - earlier.waiting) / seconds,
        net_out=(later.net_out - earlier.net_out) / seconds,
        net_in=(later.net_in - earlier.net_in) / seconds,
        goodput=((later.goodput or 0.0) - (earlier.goodput or 0.0)) / seconds,
    )


@dataclass(frozen=True)
class UplinkReading:
    """The uplink's counters: packets sent, and how often its queue held one back."""

    at: float
    packets: float
    delayed: float


class Stage(Protocol):
    """Where the story is played."""

    kind: StageKind
    cores: int

    async def set_load(self, tenant: str, load: Load) -> None:
        """Replace what the tenant asks for."""

    async def read(self) -> dict[str, Reading]:
        """All tenants' counters now, read from outside."""

    def read_uplink(self) -> UplinkReading:
        """The uplink's counters now."""

    def kernel_shows(self, tenant: str, resource: Resource) -> tuple[str, ...]:
        """The quota file, or the qdiscs and filters, as the kernel shows them now."""
