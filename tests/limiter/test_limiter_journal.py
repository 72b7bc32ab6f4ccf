"""The journal: durable, whole or old, salvageable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fairuse_agent.limiter.journal import Change, Journal, JournalBusy, JournalError, Ledger
from fairuse_agent.limiter.kernel.knobs import Knob
from fairuse_agent.limiter.leases import Lease


def change(target: str) -> Change:
    return Change(
        order=f"order {target}",
        tenant="alder",
        resource="cpu",
        knob=Knob(kind="cpu-v1", target=target, identity=7),
        before={"quota": "max", "period": "100000"},
        ours=({"quota": "50000", "period": "100000"},),
    )


def ledger(*targets: str) -> Ledger:
    changes = [change(target) for target in targets]
    return Ledger(
        boot_id="boot",
        leases={
            c.order: Lease(
                order=c.order, tenant="alder", resource="cpu", ends_at=5, ends_at_epoch=6
            )
            for c in changes
        },
        changes={c.knob: c for c in changes},
    )


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    saved = ledger("/a", "/b")
    journal.save(saved)
    assert journal.load() == (saved, None)


def test_a_missing_journal_is_empty(tmp_path: Path) -> None:
    assert Journal(tmp_path / "journal").load() == (Ledger(), None)


@pytest.mark.parametrize("line", range(5))
def test_a_damaged_line_costs_only_itself_and_is_told(tmp_path: Path, line: int) -> None:
    journal = Journal(tmp_path / "journal")
    journal.save(ledger("/a", "/b"))
    lines = journal.path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line][:20] + b"?" + lines[line][21:]
    journal.path.write_bytes(b"".join(lines))
    found, damage = journal.load()
    assert damage is not None
    assert f"line {line + 1} does not match" in damage
    assert "by hand" in damage
    assert len(found.leases) + len(found.changes) == (4 if line == 0 else 3)
    assert (tmp_path / "journal.damaged").read_bytes() == b"".join(lines)


def test_a_file_cut_off_anywhere_never_stops_the_loading(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.save(ledger("/a", "/b"))
    content = journal.path.read_bytes()
    for length in range(1, len(content), 7):
        journal.path.write_bytes(content[:length])
        found, _ = journal.load()
        assert set(found.changes) <= set(ledger("/a", "/b").changes)


def test_a_journal_of_a_later_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    import zlib

    body = b'{"record":"journal","version":99,"boot_id":"b"}'
    journal = Journal(tmp_path / "journal")
    journal.path.write_bytes(b"%08x %s\n" % (zlib.crc32(body), body))
    with pytest.raises(JournalError, match="knows 1, found 99: use the program that wrote it"):
        journal.load()


def test_a_failed_save_leaves_the_old_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.save(ledger("/a"))
    (tmp_path / "journal.new").mkdir()
    with pytest.raises(IsADirectoryError):
        journal.save(ledger("/b"))
    assert journal.load()[0] == ledger("/a")


def test_the_lock_keeps_another_process_out_and_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from fairuse_agent.limiter.journal import"
            f" Journal; Journal(Path({str(path)!r})).lock(); print('locked', flush=True);"
            " sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(JournalBusy):
            Journal(path).lock()
    finally:
        holder.kill()
        holder.communicate()
    with Journal(path):
        pass


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        ({"quota": "50000", "period": "100000"}, True),
        ({"quota": "max", "period": "100000"}, True),
        ({"quota": "50000", "period": "20000"}, False),
        ({"quota": "60000", "period": "100000"}, False),
    ],
)
def test_a_state_is_ours_when_every_field_is_as_before_or_as_we_wrote(
    found: dict[str, str], ours: bool
) -> None:
    assert change("/a").recognises(found) == ours
