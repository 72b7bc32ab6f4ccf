from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fairuse_cli.processes import Program, ProgramError, first_to_end, wait_ready

PYTHON = sys.executable


def program(tmp_path: Path, code: str, name: str = "child") -> Program:
    return Program(
        name, [PYTHON, "-uc", textwrap.dedent(code)], log_file=tmp_path / "logs" / f"{name}.log"
    )


def alive(pid: int) -> bool:
    """A zombie whose parent is gone and not yet reaped counts as dead."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.02)


async def test_output_of_both_kinds_lands_in_the_log_file(tmp_path: Path) -> None:
    child = program(tmp_path, "import sys; print('out'); print('err', file=sys.stderr)")
    await child.start()
    assert await child.wait() == 0
    assert child.last_lines() == ["out", "err"]
    assert child.last_lines(1) == ["err"]


async def test_a_program_that_heeds_sigterm_is_stopped_by_it(tmp_path: Path) -> None:
    child = program(
        tmp_path,
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (print("lifting"), sys.exit(0)))
        print("ready")
        time.sleep(60)
        """,
    )
    await child.start()
    await until(lambda: child.last_lines() == ["ready"])
    assert await child.stop(grace_seconds=10) == 0
    assert child.last_lines() == ["ready", "lifting"]


async def test_a_program_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    child = program(
        tmp_path,
        """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid)
        time.sleep(60)
        """,
    )
    await child.start()
    await until(lambda: len(child.last_lines()) == 1)
    grandchild = int(child.last_lines()[0])
    assert await child.stop(grace_seconds=0.2) == -signal.SIGKILL
    await until(lambda: not alive(grandchild))


async def test_a_child_gets_sigterm_and_can_still_write_when_its_parent_is_killed(
    tmp_path: Path,
) -> None:
    log = tmp_path / "child.log"
    parent = program(
        tmp_path,
        f"""
        import asyncio, sys
        from pathlib import Path
        from fairuse_cli.processes import Program
        code = '''
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (print("lifting", flush=True), sys.exit(0)))
        print("ready", flush=True)
        time.sleep(60)
        '''
        import textwrap
        async def main():
            child = Program("c", [sys.executable, "-c", textwrap.dedent(code)],
                            log_file=Path({str(log)!r}))
            await child.start()
            print(child.pid)
            await asyncio.sleep(60)
        asyncio.run(main())
        """,
    )
    await parent.start()
    await until(lambda: log.exists() and log.read_text() == "ready\n")
    await until(lambda: bool(parent.last_lines()))
    child_pid = int(parent.last_lines()[0])
    assert parent.pid is not None
    os.kill(parent.pid, signal.SIGKILL)
    assert await parent.wait() == -signal.SIGKILL
    await until(lambda: not alive(child_pid))
    assert log.read_text() == "ready\nlifting\n"


async def test_a_program_that_dies_before_it_is_ready_is_reported_with_its_last_lines(
    tmp_path: Path,
) -> None:
    child = program(tmp_path, "import sys; print('no such socket'); sys.exit(3)")
    await child.start()

    async def never() -> bool:
        return False

    with pytest.raises(ProgramError, match=r"(?s)child ended with status 3.*no such socket"):
        await wait_ready(child, never, timeout_seconds=10)


async def test_a_program_that_is_never_ready_is_reported_after_the_timeout(tmp_path: Path) -> None:
    child = program(tmp_path, "import time; time.sleep(60)")
    await child.start()

    async def never() -> bool:
        return False

    try:
        with pytest.raises(ProgramError, match=r"not ready after 0\.3 s"):
            await wait_ready(child, never, timeout_seconds=0.3)
    finally:
        await child.stop()


async def test_the_program_that_ends_first_is_named_and_can_be_started_again(
    tmp_path: Path,
) -> None:
    long = program(tmp_path, "import time; time.sleep(60)", "long")
    short = program(tmp_path, "print('done')", "short")
    await long.start()
    try:
        for _ in range(2):
            await short.start()
            assert await first_to_end([long, short]) is short
        assert short.last_lines() == ["done", "done"]
        assert long.running
    finally:
        await long.stop()


async def test_follow_shows_whole_lines_as_they_come(tmp_path: Path) -> None:
    child = program(
        tmp_path, "import sys, time; print('a', end=''); time.sleep(0.3); print('b'); print('c')"
    )
    seen: list[str] = []
    follower = asyncio.create_task(child.follow(seen.append))
    await asyncio.sleep(0)
    await child.start()
    await until(lambda: seen == ["ab", "c"])
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)


async def test_a_program_that_does_not_exist_is_an_error_that_names_it(tmp_path: Path) -> None:
    child = Program("ghost", [str(tmp_path / "nothing")], log_file=tmp_path / "log")
    with pytest.raises(ProgramError, match=r"ghost: .*nothing cannot be run"):
        await child.start()
