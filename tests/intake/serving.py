"""A real server on loopback over a real database file, with a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
import msgspec
import sqlalchemy as sa
from aiohttp import web

from controller.cases.judging import Seen
from controller.serving import build_services
from controller.settings import Contact, ControllerSettings, Storage
from controller.storage import schema, tokens
from controller.storage.database import Database
from controller.web.app import build_app
from controller.web.services import Services
from fairuse_protocol.limits import EnrolAnswer
from fairuse_protocol.reports import Report, encode_report
from tests.databases import database_in
from tests.fairshare.reports import cpu_report

NOW = 1_700_000_000.0
MSGPACK = {"Content-Type": "application/msgpack"}


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Answer:
    status: int
    body: bytes
    headers: Any

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Server:
    url: str
    services: Services
    clock: Clock
    http: aiohttp.ClientSession
    writer: asyncio.Task[None]
    observed: list[Seen] = field(default_factory=list)

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        async with self.http.request(method, self.url + path, **options) as response:
            return Answer(response.status, await response.read(), response.headers)

    async def enrolment_token(self, host: str) -> str:
        token = tokens.new_secret()
        async with self.services.database.write() as connection:
            await tokens.add_enrolment_token(
                connection, token=token, host=host, expires_at=self.clock.now + 60
            )
        return token

    async def enrol(self, host: str) -> str:
        """Enrol as an agent does; returns the credential."""
        body = {"host": host, "token": await self.enrolment_token(host)}
        answer = await self.call("POST", "/agent/v1/enrol", json=body)
        assert answer.status == 200, answer.body
        return msgspec.json.decode(answer.body, type=EnrolAnswer).credential

    async def send(self, credential: str, body: bytes | BinaryIO, **headers: str) -> Answer:
        return await self.call(
            "POST", "/agent/v1/reports", data=body, headers=bearer(credential) | MSGPACK | headers
        )

    async def stored(self) -> list[tuple[str, int]]:
        async with self.services.database.read() as connection:
            rows = await connection.execute(
                sa.select(schema.reports.c.host, schema.reports.c.sequence).order_by(
                    schema.reports.c.id
                )
            )
            return [(row.host, row.sequence) for row in rows]


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def report_of(host: str, sequence: int = 1, *, ended_at: float = NOW) -> Report:
    return cpu_report(ended_at, {"a": 1.0, "b": 2.0}, host=host, sequence=sequence)


def body_of(host: str, sequence: int = 1, *, ended_at: float = NOW) -> bytes:
    return encode_report(report_of(host, sequence, ended_at=ended_at))


def settings_in(directory: Path) -> ControllerSettings:
    return ControllerSettings(
        storage=Storage(database=database_in(directory)),
        contact=Contact(
            link_secret_file=str(directory / "link-secret"),
            tenants_file=str(directory / "tenants.toml"),
        ),
    )


@asynccontextmanager
async def running_server(directory: Path) -> AsyncIterator[Server]:
    clock = Clock()
    settings = settings_in(directory)
    database = await Database.open(settings.storage.database)
    services = await build_services(settings, database, clock)
    writer = asyncio.create_task(services.intake.run())
    runner = web.AppRunner(build_app(services), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as http:
            server = Server(url, services, clock, http, writer)
            _note_what_is_observed(server)
            yield server
    finally:
        await runner.cleanup()
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        await database.close()


def _note_what_is_observed(server: Server) -> None:
    """The real desk observes; the test sees what it was given."""
    observe = server.services.desk.observe

    async def noting(seen: Seen) -> None:
        server.observed.append(seen)
        await observe(seen)

    server.services.desk.observe = noting  # type: ignore[method-assign]  # a tap, not a double
