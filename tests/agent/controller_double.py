"""A controller on loopback that fails when told to. What it does when it does not fail is held
against the real one in test_controller_contract.py."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from fairuse_protocol.limits import EnrolAnswer, EnrolRequest, LimitOrder, ReportAnswer
from fairuse_protocol.messages import MessageError, decode_with
from fairuse_protocol.reports import Report, decode_report


@dataclass
class ControllerDouble:
    """`faults` are answered first, one a request; `arrived` is every body that was decoded."""

    credential: str = "right-credential"
    host: str = "h1"
    token: str = "right-token"
    limits: tuple[LimitOrder, ...] = ()
    faults: list[web.Response] = field(default_factory=list)
    arrived: list[Report] = field(default_factory=list)
    requests: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    _runner: web.AppRunner | None = None
    _port: int = 0

    def __post_init__(self) -> None:
        self.answers.set()

    @property
    def stored(self) -> list[Report]:
        """Each report once, in the order in which it first came."""
        return list({(report.spool, report.sequence): report for report in self.arrived}.values())

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen; on the same port as before when it was stopped."""
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_post("/agent/v1/reports", self._report)
        app.router.add_post("/agent/v1/enrol", self._enrol)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=tls).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _report(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests += 1
        await self.answers.wait()
        if request.headers.get("Authorization") != f"Bearer {self.credential}":
            return error(401, "who are you?")
        if request.content_type != "application/msgpack":
            return error(415, "Content-Type")
        if self.faults:
            return self.faults.pop(0)
        try:
            report = decode_report(body)
        except MessageError as refusal:
            return error(400, str(refusal))
        if report.host != self.host:
            return error(403, "host")
        self.arrived.append(report)
        answer = ReportAnswer(
            spool=report.spool, acknowledged_sequence=report.sequence, limits=self.limits
        )
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def _enrol(self, request: web.Request) -> web.Response:
        asked = decode_with(msgspec.json.Decoder(EnrolRequest), await request.read())
        if asked.token != self.token:
            return error(403, "token: it is not known, was used, or has expired")
        answer = EnrolAnswer(host=asked.host, credential=self.credential)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


def error(status: int, reason: str, **headers: str) -> web.Response:
    return web.json_response({"error": reason}, status=status, headers=headers)


@asynccontextmanager
async def controller_double(tls: ssl.SSLContext | None = None) -> AsyncIterator[ControllerDouble]:
    double = ControllerDouble()
    await double.start(tls)
    try:
        yield double
    finally:
        double.answers.set()
        await double.stop()
