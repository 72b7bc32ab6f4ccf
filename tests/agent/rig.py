"""What the agent's tests share: reports, credentials, and waiting for what other tasks do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fairuse_agent.reporting.credential import store_credential
from fairuse_agent.reporting.delivery import deliver
from fairuse_agent.reporting.link import open_link
from fairuse_agent.reporting.orders import Orders
from fairuse_agent.reporting.spool import Spool
from fairuse_agent.settings import ControllerLink
from fairuse_protocol.reports import Capacity, HostUsage, Report, encode_report

PLENTY = 10**9


def usage() -> HostUsage:
    return HostUsage(capacity=Capacity(cpu_cores=2), cpu_busy_seconds=1.0)


def add(spool: Spool, host: str = "h1", *, padding: int = 0) -> None:
    """Append the next report as the agent's rounds do."""
    report = Report(
        host=host,
        spool=spool.spool,
        sequence=spool.next_sequence,
        started_at=1_000_000.0 + spool.next_sequence,
        seconds=1.0,
        usage=usage(),
        lost_reports=spool.lost,
        notes=("x" * padding,) if padding else (),
    )
    spool.append(encode_report(report), lost=report.lost_reports)


def files_in(directory: Path) -> list[Path]:
    """Of the reports that a spool has on its disk."""
    return list(directory.glob("*.report"))


def link_settings(
    directory: Path, url: str, credential: str = "right-credential", **more: str
) -> ControllerLink:
    path = directory / "credential"
    store_credential(path, credential)
    return ControllerLink(url=url, credential_file=str(path), **more)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)


class Naps:
    """Stands for sleep: notes what was asked for and goes on at once."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0.002)


@asynccontextmanager
async def delivering(
    spool: Spool, settings: ControllerLink, orders: Orders, now: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[Naps]:
    """The delivery and the spool's writer at work."""
    naps = Naps()
    async with open_link(settings) as link:
        tasks = [
            asyncio.create_task(
                deliver(spool, link, orders, clock=now, sleep=naps, random_number=lambda: 0.0)
            ),
            asyncio.create_task(spool.write_behind()),
        ]
        try:
            yield naps
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
