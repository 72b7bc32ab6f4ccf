"""The demo's world on the real kernel, with the real limiter, measured from outside."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from fairuse_cli.demo import configuration, leftovers, links, outside
from fairuse_cli.demo.cgroups import Hierarchies
from fairuse_cli.demo.configuration import Places
from fairuse_cli.demo.leftovers import Record
from fairuse_cli.demo.stage import (
    GREEDY,
    TENANTS,
    UPLINK_BYTES_PER_SECOND,
    Load,
    Use,
    between,
    cpu_greed,
    network_greed,
    normal_load,
)
from fairuse_cli.demo.world import World
from fairuse_protocol.limits import (
    LimiterState,
    LimitOrder,
    SetLimits,
    TenantPlace,
    decode_limiter_answer,
    encode_line,
)
from fairuse_protocol.messages import Allowance, Resource
from tests.demo.machine import alone_on_this_machine, demo_leftovers, root_network

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
]
NOBODY = 65534
HEADERS = 1514 / 1448


@pytest.fixture
def network_before() -> str:
    return root_network()


@pytest.fixture
def places(network_before: str) -> Iterator[Places]:
    with alone_on_this_machine():
        leftovers.clean()
        try:
            made = Places(leftovers.DIRECTORY)
            made.make(0)
            yield made
        finally:
            leftovers.clean()


@pytest.fixture
def made_world(places: Places) -> World:
    world = World(places, NOBODY)
    world.make()
    return world


@pytest.fixture
async def world(places: Places, made_world: World) -> AsyncIterator[World]:
    try:
        await made_world.start(Record(places.directory))
        yield made_world
    finally:
        await made_world.stop()


Limiter = Callable[..., Awaitable[LimiterState]]


@pytest.fixture
async def limiter(places: Places, world: World) -> AsyncIterator[Limiter]:
    configuration.write(places, http_port=1, smtp_port=1, agents_user="root")
    log = (places.logs / "limiter.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fairuse_agent.limiter.main"),
        *("run", "--config", str(places.limiter_settings)),
        stdout=log,
        stderr=log,
    )
    socket = places.limiter / "limiter.sock"
    try:
        async with asyncio.timeout(20):
            reader, writer = await connected(socket)

        async def hold(*orders: LimitOrder) -> LimiterState:
            request = SetLimits(
                orders=orders,
                places=tuple(
                    TenantPlace(
                        tenant=name,
                        weight=1,
                        cgroups=(f"/fairuse-demo/{name}",),
                        interfaces=(links.interface(name),),
                    )
                    for name in TENANTS
                ),
                controller_heard_seconds_ago=0,
                capacity_net_in=Allowance(bytes_per_second=UPLINK_BYTES_PER_SECOND),
                capacity_net_out=Allowance(bytes_per_second=UPLINK_BYTES_PER_SECOND),
            )
            writer.write(encode_line(request))
            answer = decode_limiter_answer(await reader.readline())
            assert isinstance(answer, LimiterState), answer
            return answer

        yield hold
        writer.close()
    finally:
        process.terminate()
        await process.wait()
        log.close()


async def connected(socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_unix_connection(str(socket))
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(0.05)


def owner_of(pid: str) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


async def use_over(world: World, seconds: float) -> dict[str, Use]:
    before = await world.read()
    await asyncio.sleep(seconds)
    after = await world.read()
    return {name: between(before[name], after[name]) for name in TENANTS}


def test_making_and_removing_the_world_leaves_the_machine_as_it_was(network_before: str) -> None:
    with alone_on_this_machine():
        leftovers.clean()
        world = World(Places(leftovers.DIRECTORY), NOBODY)
        try:
            world.make()
            assert demo_leftovers() != []
            assert root_network() == network_before
        finally:
            leftovers.clean()
        assert demo_leftovers() == []
        assert root_network() == network_before


async def test_every_tenant_is_in_every_hierarchy_and_runs_as_nobody(
    places: Places, world: World
) -> None:
    hierarchies = Hierarchies.here()
    for tenant in TENANTS:
        for group in hierarchies.groups(tenant):
            pids = (group / "cgroup.procs").read_text().split()
            assert len(pids) == 1
            assert owner_of(pids[0]) == NOBODY


async def test_loads_are_what_was_asked_for(world: World) -> None:
    await asyncio.sleep(0.5)
    uses = await use_over(world, 3)
    for use in uses.values():
        assert use.cores == pytest.approx(0.15 * world.cores, rel=0.2)
        assert use.goodput == pytest.approx(1e6, rel=0.1)
        assert use.net_out == pytest.approx(1e6 * HEADERS, rel=0.1)


async def test_the_uplink_queues_only_when_one_tenant_floods_it(world: World) -> None:
    await asyncio.sleep(0.5)
    quiet = outside.read_uplink()
    await asyncio.sleep(2)
    calm = outside.read_uplink()
    await world.set_load(GREEDY, network_greed(world.cores))
    await asyncio.sleep(1)
    start = outside.read_uplink()
    uses = await use_over(world, 3)
    end = outside.read_uplink()
    assert (calm.delayed - quiet.delayed) / (calm.packets - quiet.packets) < 0.02
    assert (end.delayed - start.delayed) / (end.packets - start.packets) > 0.2
    assert 0.85 < uses[GREEDY].net_out / UPLINK_BYTES_PER_SECOND < 1.02


HELD: list[tuple[Resource, Load, Allowance, Callable[[Use], float]]] = [
    ("cpu", cpu_greed(os.cpu_count() or 1), Allowance(), lambda use: use.cores),
    (
        "net-out",
        network_greed(1),
        Allowance(bytes_per_second=UPLINK_BYTES_PER_SECOND / 3 * 1.25),
        lambda use: use.goodput * HEADERS,
    ),
    (
        "net-in",
        Load(fetch=(None,) * 4),
        Allowance(bytes_per_second=UPLINK_BYTES_PER_SECOND / 3 * 1.25),
        # Counted per merged packet with one header: see the header's part of a full packet.
        lambda use: use.net_in,
    ),
]


@pytest.mark.parametrize(
    ("resource", "greed", "allowance", "used"), HELD, ids=[each[0] for each in HELD]
)
async def test_a_limit_holds_within_five_percent_over_ten_seconds_and_leaves_no_trace(
    world: World,
    limiter: Limiter,
    resource: Resource,
    greed: Load,
    allowance: Allowance,
    used: Callable[[Use], float],
) -> None:
    fair = Allowance(cores=world.cores / 3)
    if resource == "cpu":
        allowance = Allowance(cores=world.cores / 3 * 1.25)
    else:
        fair = Allowance(bytes_per_second=UPLINK_BYTES_PER_SECOND / 3)
    shown = world.kernel_shows(GREEDY, resource)
    await world.set_load(GREEDY, greed)
    order = LimitOrder(
        order="demo-test",
        tenant=GREEDY,
        resource=resource,
        allowance=allowance,
        fair_share=fair,
        remaining_seconds=60,
    )
    give_up = time.monotonic() + 15
    while not (state := await limiter(order)).held:
        assert time.monotonic() < give_up, state
        await asyncio.sleep(0.5)
    assert world.kernel_shows(GREEDY, resource) != shown
    await asyncio.sleep(1)
    uses = await use_over(world, 10)
    allowed = allowance.cores or allowance.bytes_per_second or 0
    assert used(uses[GREEDY]) == pytest.approx(allowed, rel=0.05)

    assert (await limiter()).held == ()
    assert world.kernel_shows(GREEDY, resource) == shown
    await world.set_load(GREEDY, normal_load(world.cores))


def test_clean_finds_nothing_to_do_on_a_clean_machine() -> None:
    with alone_on_this_machine():
        leftovers.clean()
        leftovers.clean()
        assert demo_leftovers() == []


def test_a_second_demo_is_refused_while_one_runs() -> None:
    with alone_on_this_machine():
        done = subprocess.run(
            [sys.executable, "-m", "fairuse_cli.main", "demo", "--clean"],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 1
    assert f"process {os.getpid()}" in done.stderr
