"""The real stage: tenants in this machine's cgroups and network namespaces."""

from __future__ import annotations

import os

from pyroute2.netlink.exceptions import NetlinkError

from fairuse_cli.demo import links, outside, signals
from fairuse_cli.demo.cgroups import Hierarchies, WorldError
from fairuse_cli.demo.configuration import Places
from fairuse_cli.demo.leftovers import Record
from fairuse_cli.demo.stage import (
    TENANTS,
    UPLINK_BYTES_PER_SECOND,
    Load,
    Reading,
    StageKind,
    UplinkReading,
    normal_load,
)
from fairuse_cli.demo.workers import Worker
from fairuse_protocol.messages import Resource

_MAKE_SECONDS = 30


class World:
    """Three tenants and the far end of their uplink."""

    kind: StageKind = "real"

    def __init__(self, places: Places, user: int) -> None:
        """`user` is the user id that the tenants' processes run as."""
        self._places = places
        self._user = user
        self._hierarchies = Hierarchies.here()
        self._workers: dict[str, Worker] = {}
        self._addresses = links.addresses(TENANTS)
        self.cores = os.cpu_count() or 1

    def make(self) -> None:
        """Make groups, namespaces and links, or raise WorldError. Before the event loop runs,
        since it forks."""
        lacking = self._hierarchies.lacking()
        if lacking:
            raise WorldError(lacking)
        try:
            with signals.bounded(_MAKE_SECONDS, "making the tenants' groups and links"):
                self._hierarchies.make(TENANTS)
                links.make(TENANTS, UPLINK_BYTES_PER_SECOND)
        except (OSError, NetlinkError) as error:
            raise WorldError(f"the tenants' groups and links cannot be made: {error}") from error

    async def start(self, record: Record) -> None:
        """Start the tenants' processes and the far end, at their normal load."""
        await self._start(links.WORLD, record, peer="")
        for tenant in TENANTS:
            await self._start(tenant, record, peer=links.WORLD_ADDRESS)
            await self.set_load(tenant, normal_load(self.cores))

    async def _start(self, name: str, record: Record, peer: str) -> None:
        self._workers[name] = worker = await Worker.start(
            name,
            cgroups=self._hierarchies.groups(name) if peer else (),
            namespace=links.namespace_file(name),
            peer=peer,
            user=self._user,
            log_file=self._places.logs / f"{name}.log",
        )
        record.add(worker.name, worker.pid)

    async def stop(self) -> None:
        """End all processes."""
        for worker in self._workers.values():
            await worker.stop()

    async def set_load(self, tenant: str, load: Load) -> None:
        """Replace what the tenant asks for."""
        await self._workers[tenant].load(load)

    async def read(self) -> dict[str, Reading]:
        """All tenants' counters now."""
        received = await self._workers[links.WORLD].received()
        return {
            name: outside.read(self._hierarchies, name, received.get(self._addresses[name], 0))
            for name in TENANTS
        }

    def read_uplink(self) -> UplinkReading:
        """The uplink's counters now."""
        return outside.read_uplink()

    def kernel_shows(self, tenant: str, resource: Resource) -> tuple[str, ...]:
        """The quota file's text, or the qdiscs and filters of the tenant's link and of an IFB
        that takes its traffic."""
        if resource == "cpu":
            return (self._hierarchies.quota_file(tenant).read_text().strip(),)
        return tuple(
            f"{name}: {found}"
            for name in (links.interface(tenant), links.ifb(tenant))
            for found in outside.traffic_control(name)
        )
