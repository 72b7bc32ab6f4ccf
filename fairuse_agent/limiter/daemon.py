"""The running limiter: the keeper in one thread, the socket and the clock around it.

Everything that touches the kernel or the journal runs in that one thread, one thing at a time,
so that a slow kernel or D-Bus call never keeps the socket from answering for longer than itself.
A defect in the keeper ends the program: what starts it again lifts everything first.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from fairuse_agent.limiter.keeper import Keeper
from fairuse_agent.limiter.kernel.disks import arm_disk_counters
from fairuse_agent.limiter.kernel.host import HostKernel
from fairuse_agent.limiter.kernel.knobs import Gone, KernelError
from fairuse_agent.limiter.leases import Clock
from fairuse_agent.limiter.server import LimiterServer, allowed_users
from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_protocol.limits import LiftAll, LimiterAnswer, LimiterError, LimiterRequest, SetLimits

log = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 1.0
"""The loop's timers stand still while the host is suspended; looking this often makes up for it."""

Result = TypeVar("Result")


class LimiterDaemon:
    """One limiter from start to stop."""

    def __init__(self, settings: LimiterSettings, keeper: Keeper) -> None:
        self._settings = settings
        self._keeper = keeper
        self._clock = Clock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kernel")
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._defect: Exception | None = None

    async def run(self) -> bool:
        """Serve until SIGTERM or SIGINT. True when everything was restored at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        server = LimiterServer(
            Path(self._settings.socket), allowed_users(self._settings.agent_users), self._handle
        )
        await self._in_thread(lambda: self._keeper.start("limiter-started"))
        await server.start()
        log.info("listening on %s", self._settings.socket)
        timers = asyncio.create_task(self._keep_time())
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({timers, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await server.stop()
            left = await self._lift_on_stop(timers, stopped)
            self._thread.shutdown()
        return not left

    async def _lift_on_stop(self, *tasks: asyncio.Task[object]) -> list[str]:
        died = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        died.append(self._defect)
        for task in tasks:
            task.cancel()
        await self._in_thread(lambda: self._keeper.lift_all("limiter-stopped"))
        left = await self._in_thread(self._keeper.left_over)
        if left:
            log.error(
                "still limited: %s; run `fairuse-limiter lift-all` when the cause is mended",
                ", ".join(left),
            )
        for error in died:
            if error is not None:
                raise error
        return left

    async def _handle(self, request: LimiterRequest) -> LimiterAnswer:
        try:
            return await self._in_thread(lambda: self._carry_out(request))
        except Exception as error:
            self._defect = error
            self._stop.set()
            log.exception("a defect: everything is lifted and the limiter ends")
            return LimiterError(reason="the limiter failed and ends: see its log")
        finally:
            self._changed.set()

    def _carry_out(self, request: LimiterRequest) -> LimiterAnswer:
        if isinstance(request, SetLimits):
            return self._keeper.set_limits(request)
        if isinstance(request, LiftAll):
            log.info("everything is lifted on request: %s", request.reason)
            return self._keeper.lift_all("lift-all", request.reason)
        return self._keeper.state()

    async def _keep_time(self) -> None:
        """Call `tick` when something is due, however the clocks of the loop and of the boot
        drift apart; sleep without waking while nothing is held."""
        while True:
            due = await self._in_thread(self._keeper.next_due)
            self._changed.clear()
            pause = None
            if due is not None:
                pause = min(max(0.0, due - self._clock.boottime()), LONGEST_SLEEP_SECONDS)
            try:
                await asyncio.wait_for(self._changed.wait(), pause)
            except TimeoutError:
                await self._in_thread(self._keeper.tick)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def arm_counters(kernel: HostKernel) -> None:
    """Let the kernel count disk use from now on; without it disk limits are refused."""
    try:
        armed = arm_disk_counters(kernel.mounts)
    except (Gone, KernelError, OSError) as error:
        log.warning("disk use is not counted on this host: %s", error)
    else:
        if armed:
            log.info("disk use is counted on %s", ", ".join(armed))
