"""The simulated stage: a small model of a kernel, an agent and a limiter, for who is not root.

It speaks the agents' protocol to the real controller: the rule, the case, the notice and the
orders are the real ones. Only the kernel is simulated: demands, what is delivered of them, who
waits, and limits. Time is real time.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field

import aiohttp
import msgspec

from fairuse_cli.demo.fairness import max_min_fair, quota_text, waiting
from fairuse_cli.demo.simulated_limiter import SimulatedLimiter
from fairuse_cli.demo.stage import (
    HOST,
    TENANTS,
    UPLINK_BYTES_PER_SECOND,
    Load,
    Reading,
    StageKind,
    UplinkReading,
    normal_load,
)
from fairuse_protocol.limits import EnrolAnswer, EnrolRequest, decode_report_answer
from fairuse_protocol.messages import JSON_CONTENT_TYPE, MSGPACK_CONTENT_TYPE, Resource
from fairuse_protocol.reports import (
    Capacity,
    HostUsage,
    Report,
    TenantUsage,
    UplinkActivity,
    encode_report,
)

_INTERVAL_SECONDS = 1.0
_TICK_SECONDS = 0.1
_ANSWER_SECONDS = 5.0
_PACKET_BYTES, _PAYLOAD_BYTES = 1514, 1448
_DELAYED_PER_PACKET = 3.0
"""As a token bucket of the real stage counts under TCP."""


@dataclass
class _Tenant:
    load: Load
    cpu: float = 0.0
    throttled: float = 0.0
    waiting: float = 0.0
    net_out: float = 0.0


@dataclass
class _Totals:
    """All counters at one moment, for the differences that a report is made of."""

    at: float
    waiting: float
    packets: float
    delayed: float
    tenants: dict[str, _Tenant] = field(default_factory=dict)


class Simulation:
    """A machine of four cores with three tenants and an uplink."""

    kind: StageKind = "simulated"
    cores = 4

    def __init__(self) -> None:
        self._tenants = {name: _Tenant(normal_load(self.cores)) for name in TENANTS}
        self._limiter = SimulatedLimiter()
        self._at = time.monotonic()
        self._waiting = self._packets = self._delayed = 0.0

    async def set_load(self, tenant: str, load: Load) -> None:
        """Replace what the tenant asks for."""
        self._advance()
        self._tenants[tenant].load = load

    async def read(self) -> dict[str, Reading]:
        """All tenants' counters now."""
        self._advance()
        return {
            name: Reading(
                at=self._at,
                cpu=tenant.cpu,
                waiting=tenant.waiting,
                net_out=tenant.net_out,
                net_in=0.0,
                goodput=tenant.net_out * _PAYLOAD_BYTES / _PACKET_BYTES,
            )
            for name, tenant in self._tenants.items()
        }

    def read_uplink(self) -> UplinkReading:
        """The uplink's counters now."""
        self._advance()
        return UplinkReading(self._at, self._packets, self._delayed)

    def kernel_shows(self, tenant: str, resource: Resource) -> tuple[str, ...]:
        """What stands for the quota file and the qdiscs."""
        self._advance()
        cap = self._limiter.cap(tenant, resource)
        if resource == "cpu":
            return (quota_text(cap),)
        return ("noqueue",) if math.isinf(cap) else (f"shaper {cap:.0f} bytes/s",)

    def _advance(self) -> None:
        """Let time pass up to now, under the loads and limits as they are."""
        now = time.monotonic()
        for until in (*self._limiter.ends_before(now), now):
            self._pass(until - self._at)
            self._at = until
            self._limiter.expire(until)

    def _pass(self, seconds: float) -> None:
        asked = {name: sum(tenant.load.cpu) for name, tenant in self._tenants.items()}
        demands = {name: min(asked[name], self._limiter.cap(name, "cpu")) for name in asked}
        cores = max_min_fair(demands, self.cores)
        waits = waiting(demands, self.cores)
        sent = self._sent()
        crowded = sum(sent.values()) > UPLINK_BYTES_PER_SECOND * 0.999
        packets = sum(sent.values()) * seconds / _PACKET_BYTES
        for name, tenant in self._tenants.items():
            throttled = 1 - demands[name] / asked[name] if asked[name] else 0.0
            tenant.cpu += cores[name] * seconds
            tenant.throttled += throttled * seconds
            tenant.waiting += max(waits[name], throttled) * seconds
            tenant.net_out += sent[name] * seconds
        self._waiting += max(waits.values()) * seconds
        self._packets += packets
        self._delayed += packets * _DELAYED_PER_PACKET * crowded

    def _sent(self) -> dict[str, float]:
        wanted = {
            name: sum(math.inf if stream is None else stream for stream in tenant.load.send)
            for name, tenant in self._tenants.items()
        }
        capped = {
            name: min(rate, self._limiter.cap(name, "net-out")) for name, rate in wanted.items()
        }
        return max_min_fair(capped, UPLINK_BYTES_PER_SECOND)

    async def run(self, url: str, enrolment_token: str) -> None:
        """Be the host's agent and limiter: enrol, report every second, obey the answers."""
        limit = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(url, timeout=limit, raise_for_status=True) as session:
            headers = {"Content-Type": JSON_CONTENT_TYPE}
            request = msgspec.json.encode(EnrolRequest(host=HOST, token=enrolment_token))
            async with session.post("/agent/v1/enrol", data=request, headers=headers) as answer:
                credential = msgspec.json.decode(await answer.read(), type=EnrolAnswer).credential
            headers = {
                "Content-Type": MSGPACK_CONTENT_TYPE,
                "Authorization": f"Bearer {credential}",
            }
            sequence, before = 0, self._totals()
            while True:
                await self._sleep_one_interval()
                now = self._totals()
                body = encode_report(self._report(before, now, sequence))
                async with session.post("/agent/v1/reports", data=body, headers=headers) as answer:
                    orders = decode_report_answer(await answer.read())
                self._advance()
                self._limiter.obey(orders.limits, self._at)
                sequence, before = sequence + 1, now

    async def _sleep_one_interval(self) -> None:
        until = time.monotonic() + _INTERVAL_SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(_TICK_SECONDS)
            self._advance()

    def _totals(self) -> _Totals:
        self._advance()
        tenants = {
            name: _Tenant(t.load, t.cpu, t.throttled, t.waiting, t.net_out)
            for name, t in self._tenants.items()
        }
        return _Totals(self._at, self._waiting, self._packets, self._delayed, tenants)

    def _report(self, before: _Totals, now: _Totals, sequence: int) -> Report:
        seconds = now.at - before.at
        tenants = tuple(
            _usage(name, before.tenants[name], now.tenants[name], seconds) for name in TENANTS
        )
        uplink = UplinkActivity(
            interface="simulated",
            out_bytes=sum(tenant.net_out_bytes for tenant in tenants),
            out_packets=round(now.packets - before.packets),
            out_delayed_packets=round(now.delayed - before.delayed),
        )
        return Report(
            host=HOST,
            spool="simulated",
            sequence=sequence,
            started_at=time.time() - (time.monotonic() - before.at),
            seconds=seconds,
            usage=HostUsage(
                capacity=Capacity(
                    cpu_cores=self.cores,
                    net_in_bytes_per_second=UPLINK_BYTES_PER_SECOND,
                    net_out_bytes_per_second=UPLINK_BYTES_PER_SECOND,
                ),
                cpu_busy_seconds=sum(tenant.cpu_seconds for tenant in tenants),
                cpu_waiting_seconds=min(seconds, now.waiting - before.waiting),
                uplinks=(uplink,),
            ),
            tenants=tenants,
            limiter=self._limiter.state(now.at),
            notes=("This host is simulated.",),
        )


def _usage(name: str, before: _Tenant, now: _Tenant, seconds: float) -> TenantUsage:
    return TenantUsage(
        tenant=name,
        cpu_seconds=now.cpu - before.cpu,
        cpu_throttled_seconds=now.throttled - before.throttled,
        cpu_waiting_seconds=min(seconds, now.waiting - before.waiting),
        net_out_bytes=round(now.net_out - before.net_out),
        net_out_packets=round((now.net_out - before.net_out) / _PACKET_BYTES),
    )
