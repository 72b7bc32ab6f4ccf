"""Running this machine's programs, with their output where it helps: in the error."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .needs import SEARCH_PATH


class CommandFailedError(Exception):
    """A program ended badly or took too long; the message has the end of what it said."""


def run(command: Sequence[str | Path], *, timeout_seconds: float) -> str:
    """Run to the end, and return what it wrote on its standard output."""
    shown = " ".join(str(word) for word in command)
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": SEARCH_PATH},
        )
    except subprocess.TimeoutExpired as late:
        raise CommandFailedError(
            f"not done after {timeout_seconds:.0f} s: {shown}\n{tail(late.stderr or b'')}"
        ) from None
    if ended.returncode:
        raise CommandFailedError(
            f"ended with {ended.returncode}: {shown}\n{tail(ended.stdout)}\n{tail(ended.stderr)}"
        )
    return ended.stdout


def tail(text: str | bytes, lines: int = 60) -> str:
    """The last lines, where programs say what went wrong."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
