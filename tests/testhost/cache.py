"""What is dear to build, kept under a key that is the hash of everything it was made from."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Several clones can share one: FAIRUSE_TEST_HOST_CACHE names it.
CACHE = Path(os.environ.get("FAIRUSE_TEST_HOST_CACHE") or REPOSITORY / "var" / "test-host")
_UNUSED_FOR_SECONDS = 14 * 86400.0


def entry(kind: str, made_from: list[bytes], build: Callable[[Path], None]) -> Path:
    """The folder of one thing of this kind; built only when nothing was made from the same.

    `build` fills an empty folder. It is renamed into place when it is complete, so an interrupted
    build leaves nothing that looks finished.
    """
    digest = hashlib.sha256()
    for part in made_from:
        digest.update(len(part).to_bytes(8, "big") + part)
    place = CACHE / f"{kind}-{digest.hexdigest()[:16]}"
    with locked(kind):
        if not place.exists():
            unfinished = CACHE / f"unfinished-{kind}"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            build(unfinished)
            unfinished.rename(place)
        os.utime(place)
        _forget_unused(kind)
    return place


@contextmanager
def locked(kind: str) -> Iterator[None]:
    """One builder at a time; another one waits, and then finds it built."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _forget_unused(kind: str) -> None:
    now = time.time()
    for old in CACHE.glob(f"{kind}-*"):
        if now - old.stat().st_mtime > _UNUSED_FOR_SECONDS:
            shutil.rmtree(old)
