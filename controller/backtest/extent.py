"""How far a trace reaches: what was read of it, and about how much there is to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from controller.backtest.intervals import IntervalBatch

_LOOKED_AT_BYTES = 8 * 2**20


@dataclass(slots=True)
class Extent:
    """What was read so far."""

    tenant_intervals: int = 0
    began_at: int | None = None
    """Seconds since the epoch; None: nothing was read."""
    ended_at: int | None = None

    def add(self, batch: IntervalBatch) -> None:
        """Take one more batch in."""
        self.tenant_intervals += len(batch.tenant)
        if not len(batch):
            return
        began_at, ended_at = int((batch.time - batch.seconds).min()), int(batch.time.max())
        self.began_at = began_at if self.began_at is None else min(began_at, self.began_at)
        self.ended_at = ended_at if self.ended_at is None else max(ended_at, self.ended_at)

    @property
    def seconds(self) -> int:
        """From the beginning of the first interval to the end of the last."""
        if self.began_at is None or self.ended_at is None:
            return 0
        return self.ended_at - self.began_at


def expected_rows(samples: Path) -> int:
    """About how many rows this file has, for a progress bar.

    Parquet says it. Of a CSV file it is worked out from how many lines its beginning holds, which
    is right within a few percent. 0 where the file cannot be read: reading it will say why.
    """
    try:
        if samples.suffix == ".parquet":
            return int(pyarrow.parquet.read_metadata(samples).num_rows)
        return _rows_of_text(samples)
    except (pa.ArrowInvalid, OSError, EOFError):
        return 0


def _rows_of_text(samples: Path) -> int:
    size = samples.stat().st_size
    with samples.open("rb") as raw:
        compressed = samples.suffix == ".gz"
        stream = pa.CompressedInputStream(pa.PythonFile(raw), "gzip") if compressed else raw
        lines = stream.read(_LOOKED_AT_BYTES).count(b"\n")
        # A decompressor takes its input in blocks of some 64 kB, little beside all that it took.
        taken = raw.tell()
    return round(lines * size / taken) if taken else 0
