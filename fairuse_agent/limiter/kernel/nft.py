"""nftables through its own program: scripts go in as text, what stands comes back as JSON.

The text and not the JSON form for writing: nft's JSON has no words for the level of a cgroup
match (seen with 1.0.6). One script is one transaction: all of it stands, or nothing.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import msgspec

from fairuse_agent.limiter.kernel.knobs import KernelError, Refused

_PLACES = "/usr/sbin:/sbin:/usr/bin:/bin"
"""Fixed, whatever PATH says: this runs with the limiter's rights."""
_SECONDS = 10
MISSING = (
    "a tenant without an interface is limited through nftables, whose program `nft` is not"
    " installed: install the package nftables"
)
_ABSENT = "No such file or directory"


def available() -> bool:
    """True when the program is installed."""
    return shutil.which("nft", path=_PLACES) is not None


def load(script: str) -> None:
    """Carry out one transaction. Raises KernelError, Refused without the program."""
    done = _nft("-f", "-", script=script)
    if done.returncode:
        raise KernelError(f"nftables did not take `{script.strip()}`: {_told(done)}")


def listed(*what: str) -> list[dict[str, Any]] | None:
    """The objects of `nft list ...`, each under its kind; None where there is no such thing."""
    done = _nft("-j", "list", *what)
    if done.returncode:
        if _ABSENT in done.stderr:
            return None
        raise KernelError(f"`nft list {' '.join(what)}`: {_told(done)}")
    try:
        return list(msgspec.json.decode(done.stdout)["nftables"])
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise KernelError(
            f"`nft -j list {' '.join(what)}`: expected JSON, found {done.stdout[:80]!r}"
        ) from error


def tables(prefix: str) -> list[str]:
    """Names of the inet tables that begin so; none without the program."""
    if not available():
        return []
    found = [entry["table"] for entry in listed("tables", "inet") or [] if "table" in entry]
    return [table["name"] for table in found if table["name"].startswith(prefix)]


def _nft(*arguments: str, script: str = "") -> subprocess.CompletedProcess[str]:
    program = shutil.which("nft", path=_PLACES)
    if program is None:
        raise Refused(MISSING)
    try:
        return subprocess.run(  # noqa: S603  # a fixed program; what goes in is checked by who calls
            [program, *arguments],
            input=script,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelError(f"{program} did not answer: {error}") from error


def _told(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"exit {done.returncode}"
