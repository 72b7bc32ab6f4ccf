from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairuse_agent.reporting import spool_files
from fairuse_agent.reporting.spool import Spool, SpoolError
from fairuse_protocol.reports import decode_report
from tests.agent.rig import PLENTY, add, files_in, until


async def take_all(spool: Spool) -> list[tuple[int, int]]:
    """Acknowledge everything that waits; sequence and told losses of each."""
    taken = []
    while len(spool):
        report, body = await spool.oldest()
        decoded = decode_report(body)
        assert decoded.sequence == report.sequence
        taken.append((decoded.sequence, decoded.lost_reports))
        spool.acknowledge(report)
    return taken


async def test_reports_survive_a_restart_in_their_order(tmp_path: Path) -> None:
    before = Spool(tmp_path, PLENTY)
    for _ in range(3):
        add(before)
    await before.flush()
    before.close()

    after = Spool(tmp_path, PLENTY)
    add(after)

    assert await take_all(after) == [(0, 0), (1, 0), (2, 0), (3, 0)]
    after.close()


async def test_every_start_begins_a_new_series_so_no_number_means_two_reports(
    tmp_path: Path,
) -> None:
    before = Spool(tmp_path, PLENTY)
    add(before)
    before.close()  # the disk never got it, as after a power cut

    after = Spool(tmp_path, PLENTY)

    assert after.next_sequence == 0
    assert after.spool != before.spool
    after.close()


async def test_an_acknowledged_report_leaves_no_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path, PLENTY)
    for _ in range(3):
        add(spool)
    await spool.flush()
    assert len(files_in(tmp_path)) == 3
    await take_all(spool)
    await spool.flush()
    assert files_in(tmp_path) == []
    spool.close()


async def test_a_report_acknowledged_before_it_was_written_is_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(spool_files, "write_report", lambda *args: written.append(args))
    spool = Spool(tmp_path, PLENTY)
    add(spool)
    await take_all(spool)
    await spool.flush()
    assert written == []
    spool.close()


async def test_a_report_acknowledged_while_it_is_written_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, PLENTY)
    add(spool)
    loop = asyncio.get_running_loop()
    real = spool_files.write_report

    def write(path: Path, body: bytes, lost: int) -> None:
        asyncio.run_coroutine_threadsafe(take_all(spool), loop).result()
        real(path, body, lost)

    monkeypatch.setattr(spool_files, "write_report", write)
    await spool.flush()
    await spool.flush()
    assert len(spool) == 0
    assert files_in(tmp_path) == []
    spool.close()


async def test_a_full_spool_drops_the_oldest_and_the_next_report_tells_how_many(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path, 4 * 4096)
    for _ in range(10):
        add(spool)
        await spool.flush()
    assert len(files_in(tmp_path)) <= 4

    taken = await take_all(spool)

    assert [sequence for sequence, _ in taken] == [6, 7, 8, 9]
    # 6 were dropped: 0 to 5. What a dropped report had told is told again by a later one.
    told = sum(lost for _, lost in taken)
    assert told + spool.lost == 6
    spool.close()


async def test_what_a_dropped_report_told_of_is_told_again_also_after_a_restart(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path, 2 * 4096)
    for _ in range(3):
        add(spool)  # 0 is dropped when 2 comes
    add(spool)  # 3 tells of 0, and 1 is dropped
    await spool.flush()
    assert spool.lost == 1
    spool.close()

    after = Spool(tmp_path, 2 * 4096)
    add(after)  # 2 is dropped
    add(after)  # 3 is dropped, which told of 0

    # 0, 2 and 3. That of 1 was untold when the agent ended.
    assert sum(lost for _, lost in await take_all(after)) + after.lost == 3
    after.close()


async def test_a_report_that_is_being_sent_is_not_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 2 * 4096)
    add(spool)
    sending, _ = await spool.oldest()
    for _ in range(4):
        add(spool)
    spool.acknowledge(sending)
    taken = await take_all(spool)
    assert [sequence for sequence, _ in taken] == [4]
    assert spool.lost + sum(lost for _, lost in taken) == 3
    spool.close()


@given(st.lists(st.sampled_from(["add", "take", "fail", "flush"]), max_size=60))
@settings(max_examples=40, deadline=None)
def test_every_report_is_delivered_once_in_order_or_counted_as_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    directory = tmp_path_factory.mktemp("spool")

    async def story() -> None:
        spool = Spool(directory, 5 * 4096)
        added, taken, told = 0, [], 0
        for step in steps:
            if step == "add":
                add(spool)
                added += 1
            elif step == "flush":
                await spool.flush()
            elif len(spool):
                report, body = await spool.oldest()
                if step == "fail":
                    spool.release(report)
                    continue
                taken.append(report.sequence)
                told += decode_report(body).lost_reports
                spool.acknowledge(report)
        waiting = len(spool)
        told_by_waiting = sum(lost for _, lost in await take_all(spool))
        assert taken == sorted(set(taken))
        assert len(taken) + waiting + told + told_by_waiting + spool.lost == added
        await spool.flush()
        assert files_in(directory) == []
        spool.close()

    asyncio.run(story())


@pytest.mark.parametrize("kept_bytes", [0, 3, 15, 16, 40])
async def test_a_torn_file_is_skipped_and_counted_and_the_others_are_kept(
    tmp_path: Path, kept_bytes: int
) -> None:
    spool = Spool(tmp_path, PLENTY)
    for _ in range(3):
        add(spool)
    await spool.flush()
    spool.close()
    torn = sorted(files_in(tmp_path))[1]
    torn.write_bytes(torn.read_bytes()[:kept_bytes])

    after = Spool(tmp_path, PLENTY)

    assert after.lost == 1
    assert [sequence for sequence, _ in await take_all(after)] == [0, 2]
    after.close()


async def test_a_file_of_the_right_length_and_wrong_content_is_skipped_and_counted(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path, PLENTY)
    for _ in range(2):
        add(spool)
    await spool.flush()
    spool.close()
    path = min(files_in(tmp_path))
    content = path.read_bytes()
    path.write_bytes(content[:-8] + bytes(8))  # zeros, as a power cut leaves them

    after = Spool(tmp_path, PLENTY)

    assert [sequence for sequence, _ in await take_all(after)] == [1]
    assert after.lost == 1
    after.close()


async def test_kill_9_in_the_middle_of_writing_costs_at_most_the_report_being_written(
    tmp_path: Path,
) -> None:
    code = f"""
    import asyncio, sys
    from pathlib import Path
    from fairuse_agent.reporting.spool import Spool
    from tests.agent.rig import PLENTY, add
    async def main():
        spool = Spool(Path({str(tmp_path)!r}), PLENTY)
        while True:
            add(spool, padding=200_000)
            await spool.flush()
            print(spool.next_sequence, flush=True)
    asyncio.run(main())
    """
    for _ in range(3):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", textwrap.dedent(code), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        written = 0
        for _ in range(5):
            written = int(await child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()

        after = Spool(tmp_path, PLENTY)
        sequences = [sequence for sequence, _ in await take_all(after)]
        assert sequences == list(range(len(sequences)))
        assert len(sequences) >= written
        assert after.lost <= 1
        await after.flush()
        after.close()


async def test_a_full_disk_keeps_reports_in_memory_until_it_takes_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = spool_files.write_report

    def full(path: Path, body: bytes, lost: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    spool = Spool(tmp_path, PLENTY)
    monkeypatch.setattr(spool_files, "write_report", full)
    for _ in range(3):
        add(spool)
        await spool.flush()
    assert "No space left" in spool.disk_trouble
    assert files_in(tmp_path) == []
    monkeypatch.setattr(spool_files, "write_report", real)
    add(spool)
    await spool.flush()
    assert spool.disk_trouble == ""
    assert len(files_in(tmp_path)) == 4
    assert [sequence for sequence, _ in await take_all(spool)] == [0, 1, 2, 3]
    spool.close()


async def test_memory_is_bounded_while_the_disk_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, body: bytes, lost: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool_files, "write_report", full)
    spool = Spool(tmp_path, PLENTY, memory_limit_bytes=3 * 4096)
    for _ in range(8):
        add(spool)
        await spool.flush()
    assert [sequence for sequence, _ in await take_all(spool)] == [5, 6, 7]
    spool.close()


@pytest.mark.kernel
async def test_a_really_full_disk_leaves_no_torn_file_and_loses_no_report(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = await asyncio.create_subprocess_exec(
        "mount", "-t", "tmpfs", "-o", "size=64k", "fairuse-spool", str(disk)
    )
    assert await mount.wait() == 0
    try:
        spool = Spool(disk / "spool", PLENTY)
        for _ in range(30):
            add(spool, padding=6000)
            await spool.flush()
        assert "No space left" in spool.disk_trouble
        stored, torn = spool_files.scan(disk / "spool")
        assert torn == []
        assert 0 < len(stored) < 30
        assert [sequence for sequence, _ in await take_all(spool)] == list(range(30))
        spool.close()
    finally:
        await (await asyncio.create_subprocess_exec("umount", str(disk))).wait()


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link", "loop of links"])
async def test_an_entry_that_cannot_be_read_stays_and_does_not_keep_the_agent_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    before = Spool(tmp_path, PLENTY)
    add(before)
    await before.flush()
    before.close()
    odd = tmp_path / "0000000000000001-0123456789abcdef.report"
    match kind:
        case "folder":
            odd.mkdir()
        case "pipe":
            os.mkfifo(odd)
        case "dangling link":
            odd.symlink_to(tmp_path / "nowhere")
        case _:
            odd.symlink_to(odd)

    after = Spool(tmp_path, PLENTY)

    assert await take_all(after) == [(0, 0)]
    await after.flush()
    assert odd in files_in(tmp_path)
    assert odd.name in caplog.text
    after.close()


async def test_two_agents_cannot_share_a_spool(tmp_path: Path) -> None:
    first = Spool(tmp_path, PLENTY)
    with pytest.raises(SpoolError, match="another agent is using this spool"):
        Spool(tmp_path, PLENTY)
    first.close()
    Spool(tmp_path, PLENTY).close()


async def test_a_directory_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match=r"file/spool: the spool cannot be used"):
        Spool(tmp_path / "file" / "spool", PLENTY)


async def test_a_report_set_aside_is_kept_whole_and_does_not_wait_any_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path, PLENTY)
    add(spool)
    report, body = await spool.oldest()
    await spool.set_aside(report, body)
    (kept,) = (tmp_path / "rejected").iterdir()
    assert kept.read_bytes() == body
    assert len(spool) == 0
    spool.close()


def test_reports_set_aside_are_bounded_and_the_newest_stays(tmp_path: Path) -> None:
    body = bytes(spool_files.REJECTED_LIMIT_BYTES // 3)
    for number in range(6):
        spool_files.set_aside(tmp_path / "rejected", f"{number}.report", body)
    names = sorted(path.name for path in (tmp_path / "rejected").iterdir())
    assert names == ["3.report", "4.report", "5.report"]


async def test_the_writer_works_by_itself_as_reports_come(tmp_path: Path) -> None:
    spool = Spool(tmp_path, PLENTY)
    writer = asyncio.create_task(spool.write_behind())
    add(spool)
    await until(lambda: len(files_in(tmp_path)) == 1)
    await take_all(spool)
    await until(lambda: not files_in(tmp_path))
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    spool.close()
