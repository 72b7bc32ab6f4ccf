"""The real application over a real desk and database, on loopback, with a clock that tests move."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from controller.fairshare.policy import Policy
from controller.serving import build_services
from controller.settings import Contact, ControllerSettings
from controller.storage import tokens
from controller.web.app import build_app
from controller.web.services import Services
from tests.cases.world import BUSY, POLICY, World


@dataclasses.dataclass(frozen=True)
class Served:
    """Where the application is, what it is about, and who may call it."""

    url: str
    world: World
    viewer: str
    operator: str
    services: Services

    async def case_id(self) -> str:
        return (await self.world.only_case()).id

    async def notified(self) -> str:
        """A case whose customer was written to; returns its id."""
        await self.world.reports(10)
        await self.world.deliver()
        return await self.case_id()

    async def limited(self) -> str:
        """A case with a limit that its host holds; returns its id."""
        await self.notified()
        await self.world.until(lambda case: case.state == "limited")
        await self.world.report(BUSY, limiter=self.world.holding())
        return await self.case_id()


@asynccontextmanager
async def serve(
    directory: Path, *, policies_file: str = "", policy: Policy = POLICY, **contact: str
) -> AsyncIterator[Served]:
    world = await World.open(directory, policy=policy)
    settings = ControllerSettings(
        mode="enforce",
        policies_file=policies_file,
        contact=Contact(
            link_secret_file=str(directory / "link-secret"),
            tenants_file=str(_empty(directory / "tenants.toml")),
            **contact,  # type: ignore[arg-type]  # as the settings have them
        ),
    )
    services = await build_services(settings, world.database, lambda: world.now)
    runner = web.AppRunner(build_app(dataclasses.replace(services, desk=world.desk)))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        viewer, operator = "viewer-secret", "operator-secret"
        async with world.database.write() as connection:
            await tokens.add_api_token(
                connection, token=viewer, name="vera", role="viewer", now=world.now
            )
            await tokens.add_api_token(
                connection, token=operator, name="otto", role="operator", now=world.now
            )
        yield Served(f"http://{host}:{port}", world, viewer, operator, services)
    finally:
        await runner.cleanup()
        await world.database.close()


def _empty(path: Path) -> Path:
    path.touch()
    return path
