from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fairuse_agent.limiter.server import LimiterServer
from fairuse_agent.reporting.limiter_client import (
    LimiterClient,
    LimiterUnavailableError,
    LimiterWatch,
)
from fairuse_agent.reporting.orders import Orders
from fairuse_protocol.limits import (
    GetState,
    LimiterAnswer,
    LimiterError,
    LimiterRequest,
    LimiterState,
    SetLimits,
)
from tests.agent.rig import until
from tests.agent.test_orders import CAPACITY, order

STATE = LimiterState(ways={"cpu": "cgroup v1 cpu.cfs_quota_us"})


@asynccontextmanager
async def limiter(
    path: Path, answer: Callable[[LimiterRequest], LimiterAnswer] = lambda _: STATE
) -> AsyncIterator[list[LimiterRequest]]:
    """The real limiter's socket server, with `answer` in place of what touches the kernel."""
    asked: list[LimiterRequest] = []

    async def handle(request: LimiterRequest) -> LimiterAnswer:
        asked.append(request)
        return answer(request)

    server = LimiterServer(path, {os.getuid(): os.getgid()}, handle)
    await server.start()
    try:
        yield asked
    finally:
        await server.stop()


async def test_the_limiters_state_is_what_it_says(tmp_path: Path) -> None:
    async with limiter(tmp_path / "s") as asked:
        assert await LimiterClient(tmp_path / "s").ask(GetState()) == STATE
    assert asked == [GetState()]


async def test_a_refusal_says_why(tmp_path: Path) -> None:
    async with limiter(tmp_path / "s", lambda _: LimiterError(reason="not you")):
        with pytest.raises(LimiterUnavailableError, match="it refused: not you"):
            await LimiterClient(tmp_path / "s").ask(GetState())


@pytest.mark.parametrize("answer", [b"", b"half a li", b"{}\n", b"\xff\xfe\n", b"x" * 5_000_000])
async def test_an_answer_that_makes_no_sense_is_no_limiter(tmp_path: Path, answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        try:
            await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_unix_server(talk, tmp_path / "s")
    with pytest.raises(LimiterUnavailableError):
        await LimiterClient(tmp_path / "s").ask(GetState())
    server.close()


async def test_a_limiter_that_hangs_is_given_up_after_the_timeout(tmp_path: Path) -> None:
    released = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    server = await asyncio.start_unix_server(talk, tmp_path / "s")
    with pytest.raises(LimiterUnavailableError, match=r"no answer within 0\.05 s"):
        await LimiterClient(tmp_path / "s", timeout_seconds=0.05).ask(GetState())
    released.set()
    server.close()


async def test_a_missing_limiter_is_told_once_and_its_return_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    watch = LimiterWatch(LimiterClient(tmp_path / "s"))
    await watch.tell(None)
    await watch.tell(None)
    state, trouble = watch.state, watch.trouble
    assert state is None
    assert "No such file" in trouble
    async with limiter(tmp_path / "s"):
        await watch.tell(None)
    assert (watch.state, watch.trouble) == (STATE, "")
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "no limiter, observing only",
        "the limiter answers again",
    ]


@asynccontextmanager
async def watching(
    path: Path, orders: Orders, now: list[float], interval: float
) -> AsyncIterator[LimiterWatch]:
    watch = LimiterWatch(LimiterClient(path))

    def request() -> SetLimits | None:
        return orders.request(now[0], places=(), disks=(), capacity=CAPACITY)

    task = asyncio.create_task(watch.run(request, orders.changed, interval_seconds=interval))
    try:
        yield watch
    finally:
        task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(end, asyncio.CancelledError), end


async def test_new_orders_reach_the_limiter_at_once(tmp_path: Path) -> None:
    orders = Orders()
    async with limiter(tmp_path / "s") as asked, watching(tmp_path / "s", orders, [7.0], 3600):
        await until(lambda: asked == [GetState()])
        orders.hear((order("o1", 60),), 5.0)
        await until(lambda: len(asked) == 2)
    told = asked[1]
    assert isinstance(told, SetLimits)
    assert [(o.order, o.remaining_seconds) for o in told.orders] == [("o1", 58.0)]


async def test_a_silent_controller_is_told_to_the_limiter_with_growing_age(tmp_path: Path) -> None:
    orders, now = Orders(), [100.0]
    orders.hear((order("o1", 10),), 100.0)
    ages: list[float] = []

    def answer(request: LimiterRequest) -> LimiterAnswer:
        assert isinstance(request, SetLimits)
        ages.append(request.controller_heard_seconds_ago)
        left = [told.remaining_seconds for told in request.orders]
        assert left == [10 - ages[-1]] if ages[-1] < 10 else left == []
        now[0] += 4
        return STATE

    async with limiter(tmp_path / "s", answer), watching(tmp_path / "s", orders, now, 0.01):
        await until(lambda: len(ages) >= 5)
    assert ages[:5] == [0, 4, 8, 12, 16]


async def test_a_limiter_that_was_restarted_gets_what_remains_of_the_orders(tmp_path: Path) -> None:
    orders, now = Orders(), [0.0]
    orders.hear((order("o1", 60),), 0.0)
    async with watching(tmp_path / "s", orders, now, 0.01) as watch:
        async with limiter(tmp_path / "s") as asked:
            await until(lambda: len(asked) >= 1)
        await until(lambda: watch.state is None)
        now[0] = 20.0
        async with limiter(tmp_path / "s") as asked_again:
            await until(lambda: len(asked_again) >= 1)
    told = asked_again[0]
    assert isinstance(told, SetLimits)
    assert told.orders[0].remaining_seconds == 40
    assert told.controller_heard_seconds_ago == 20
