"""`fairuse-agent check`: what is found on this host, what is missing, and what that costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fairuse_agent.reporting.credential import CredentialError, read_credential
from fairuse_agent.reporting.inventory import FoundTenant, found_tenants
from fairuse_agent.reporting.limiter_client import LimiterClient, LimiterUnavailableError
from fairuse_agent.reporting.link import check_url
from fairuse_agent.sampling.hierarchy import Hierarchies, find_hierarchies
from fairuse_agent.sampling.round import Round, Sampler
from fairuse_agent.settings import AgentSettings
from fairuse_protocol.limits import GetState
from fairuse_protocol.reports import Capacity
from fairuse_protocol.units import Rate

_MEASURED_SECONDS = 1.0


async def survey(settings: AgentSettings, host: str) -> list[str]:
    """Lines for a person. Raises what would keep the agent from starting at all, except a
    missing credential, which is told."""
    check_url(settings.controller.url)
    sampler = Sampler(settings)
    try:
        sampler.read()  # Finds the tenants, whose sockets can be asked for then.
        await sampler.prepare()
        sampler.read()
        await asyncio.sleep(_MEASURED_SECONDS)
        await sampler.prepare()
        read = sampler.read()
        lines = [
            f"host         {host}",
            f"cgroups      {_mode(find_hierarchies(Path('/sys/fs/cgroup'), Path('/proc')))}",
            *_capacity_lines(sampler.capacity),
            f"disks        {', '.join(sampler.disks()) or 'none: disk use is not watched'}",
            *(_round_lines(read) if read else ()),
            *_tenant_lines(found_tenants(sampler.attribution)),
        ]
    finally:
        sampler.close()
    lines.append(f"controller   {settings.controller.url}; {_credential(settings)}")
    lines.extend(await _limiter_lines(settings))
    return lines


def _mode(hierarchies: Hierarchies) -> str:
    v1 = [
        name
        for name, root in (
            ("cpu", hierarchies.cpu_v1),
            ("cpuacct", hierarchies.cpuacct_v1),
            ("blkio", hierarchies.blkio_v1),
        )
        if root is not None
    ]
    if hierarchies.v2 is None:
        return f"v1 ({', '.join(v1)}); no pressure figures by tenant"
    if v1:
        return f"hybrid: v2 at {hierarchies.v2}, v1 for {', '.join(v1)}"
    return f"v2 at {hierarchies.v2}"


def _capacity_lines(capacity: Capacity) -> list[str]:
    """What is unknown cannot be a share of anything: it is judged on pressure alone."""

    def line(name: str, value: float | None, unit: str) -> str:
        return f"{name:<12} {f'{value:g} {unit}' if value is not None else unknown}"

    unknown = "unknown, so it is judged on pressure alone; set it under [host]"
    net = {
        "net in": capacity.net_in_bytes_per_second,
        "net out": capacity.net_out_bytes_per_second,
    }
    return [
        line("cpu", capacity.cpu_cores, "cores"),
        line("disk bytes", capacity.disk_bytes_per_second, "B/s"),
        line("disk ops", capacity.disk_operations_per_second, "a second"),
        *(
            f"{name:<12} {unknown if rate is None else Rate(rate).in_bits}"
            for name, rate in net.items()
        ),
    ]


def _round_lines(read: Round) -> list[str]:
    uplinks = ", ".join(uplink.interface for uplink in read.usage.uplinks)
    return [
        f"uplinks      {uplinks or 'none: contention for the network is not seen'}",
        f"waiting      measured by {read.pressure_source}",
        *(f"note         {note}" for note in read.notes),
    ]


def _tenant_lines(tenants: Sequence[FoundTenant]) -> list[str]:
    if not tenants:
        return [
            "tenants      none: no [[tenants]] rule and no kind in discover matches anything here"
        ]
    return [f"tenants      {len(tenants)}; fairuse-agent tenants says why"] + [
        f"  {tenant.tenant}  weight {tenant.weight:g}"
        f"  cgroups {', '.join(part.name for part in tenant.cgroups) or 'none'}"
        f"  interfaces {', '.join(part.name for part in tenant.interfaces) or 'none'}"
        for tenant in tenants
    ]


def _credential(settings: AgentSettings) -> str:
    try:
        read_credential(Path(settings.controller.credential_file))
    except CredentialError as error:
        return str(error)
    return "this host has a credential"


async def _limiter_lines(settings: AgentSettings) -> list[str]:
    try:
        state = await LimiterClient(Path(settings.limiter.socket)).ask(GetState())
    except LimiterUnavailableError as error:
        return [f"limiter      none: observing only, nothing can be limited here ({error})"]
    return [
        f"limiter      answers; {len(state.held)} limits held",
        *(f"  {resource:<8} by {way}" for resource, way in sorted(state.ways.items())),
    ]
