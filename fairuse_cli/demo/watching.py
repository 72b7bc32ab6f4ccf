"""Asking the running controller what it thinks, as an operator would."""

from __future__ import annotations

import asyncio

from controller.web.messages import CaseAnswer, CaseLine, CaseList, HostAnswer
from fairuse_cli.access import Access
from fairuse_cli.client import Client, NoSuchThing, decode
from fairuse_cli.demo.stage import HOST
from fairuse_protocol.limits import HeldLimit, LiftedLimit
from fairuse_protocol.messages import Resource


class Watching:
    """The operators' API, of which the story asks a few things."""

    def __init__(self, url: str, token: str) -> None:
        self._client = Client(Access(url=url, token=token))

    async def host(self) -> HostAnswer | None:
        """The demo's host, None until it has reported."""
        try:
            return decode(await asyncio.to_thread(self._client.get, "hosts", HOST), HostAnswer)
        except NoSuchThing:
            return None

    async def cases(self, tenant: str, resource: Resource | None = None) -> list[CaseLine]:
        """The tenant's cases, newest first."""
        answer = await asyncio.to_thread(self._client.get, "cases", tenant=tenant)
        listed = decode(answer, CaseList).cases
        return [case for case in listed if resource in (None, case.resource)]

    async def case(self, case_id: str) -> CaseAnswer:
        """One case with its history."""
        return decode(await asyncio.to_thread(self._client.get, "cases", case_id), CaseAnswer)

    async def held(self, tenant: str, resource: Resource) -> HeldLimit | None:
        """The limit that the host's limiter says it holds."""
        host = await self.host()
        limits = host.host.limiter.held if host and host.host.limiter else ()
        for limit in limits:
            if (limit.tenant, limit.resource) == (tenant, resource):
                return limit
        return None

    async def lifted(self, order: str) -> LiftedLimit | None:
        """How the limiter says that it lifted this order."""
        host = await self.host()
        limits = host.host.limiter.lifted if host and host.host.limiter else ()
        return next((limit for limit in limits if limit.order == order), None)

    async def ways(self) -> dict[str, str]:
        """By what means the host would limit each resource."""
        host = await self.host()
        return host.host.limiter.ways if host and host.host.limiter else {}
