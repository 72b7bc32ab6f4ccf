"""The first two steps: nothing happens, and then still nothing happens."""

from __future__ import annotations

import asyncio

from controller.web.messages import HostAnswer
from fairuse_cli.demo.configuration import WINDOW_SECONDS
from fairuse_cli.demo.narrator import cores
from fairuse_cli.demo.stage import GREEDY, TENANTS, cpu_greed, normal_load
from fairuse_cli.demo.story import StepFailed, Telling, figures, since

_REPORTS_SECONDS = 30.0
_QUIET_SECONDS = 5.0
_BURST_SECONDS = 2.0
_AFTERMATH_SECONDS = 4.0


async def quiet(telling: Telling) -> None:
    """Everybody works within the fair share."""
    telling.begin(f"{', '.join(TENANTS)}: steady work, each within a third of this machine.")
    host = await telling.until(
        lambda: _reported(telling),
        seconds=_REPORTS_SECONDS,
        expected="the agent's reports about all three tenants",
        seen=lambda: _what_was_reported(telling),
    )
    uses = await telling.measure(_QUIET_SECONDS, "measuring")
    telling.show(uses)
    greedy = [name for name, use in uses.items() if use.cores > telling.fair_cores]
    if greedy:
        raise StepFailed("everybody within the fair share", f"{', '.join(greedy)} over it")
    await _nobody_bothered(telling)
    ways = host.host.limiter.ways if host.host.limiter else {}
    telling.narrator.facts(
        {
            "waiting told by": host.host.pressure_source,
            **{f"would limit {resource}": f"by {way}" for resource, way in sorted(ways.items())},
            **({"not measured": " ".join(host.host.notes)} if host.host.notes else {}),
        }
    )
    telling.done(
        "no case, no mail",
        tenants=figures(uses),
        pressure_source=host.host.pressure_source,
        ways=ways,
        fair_share={"cores": telling.fair_cores, "bytes_per_second": telling.fair_rate},
    )


async def short_burst(telling: Telling) -> None:
    """A burst that is over before it counts."""
    telling.begin(f"{GREEDY} takes all the CPU it can get, for {_BURST_SECONDS:g} seconds.")
    stage = telling.stage
    await stage.set_load(GREEDY, cpu_greed(stage.cores))
    uses = await telling.measure(_BURST_SECONDS, f"{GREEDY} is busy")
    await stage.set_load(GREEDY, normal_load(stage.cores))
    telling.show(uses)
    if uses[GREEDY].cores <= telling.fair_cores:
        raise StepFailed(
            f"{GREEDY} to burst over {cores(telling.fair_cores)}", cores(uses[GREEDY].cores)
        )
    before = await stage.read()
    with telling.narrator.waiting("does anybody mind?"):
        await asyncio.sleep(_AFTERMATH_SECONDS)
    after = since(before, await stage.read())
    await _nobody_bothered(telling)
    telling.done(
        f"no case, no mail: a burst is no offence (the rule looks at {WINDOW_SECONDS} seconds)",
        burst=figures(uses),
        after=figures(after),
    )


async def _reported(telling: Telling) -> HostAnswer | None:
    host = await telling.watching.host()
    if host is None or host.host.limiter is None:
        return None
    return host if {tenant.tenant for tenant in host.host.tenants} == set(TENANTS) else None


async def _what_was_reported(telling: Telling) -> str:
    host = await telling.watching.host()
    if host is None:
        return "no report"
    limiter = "no limiter" if host.host.limiter is None else "a limiter"
    return f"tenants {[tenant.tenant for tenant in host.host.tenants]}, {limiter}"


async def _nobody_bothered(telling: Telling) -> None:
    cases = [case.id for tenant in TENANTS for case in await telling.watching.cases(tenant)]
    if cases or telling.mailbox.mails:
        raise StepFailed(
            "no case and no mail",
            f"{len(cases)} cases, {len(telling.mailbox.mails)} mails",
        )
