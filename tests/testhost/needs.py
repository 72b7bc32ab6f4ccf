"""What this machine must have before a test host can be built and booted on it."""

from __future__ import annotations

import os
import shutil
import sys

_PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "setpriv": "util-linux",
    "tar": "tar",
}
# Administrators' programs are often not on a plain user's PATH.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class CannotRunError(Exception):
    """No test host here; says what is missing and what to do about it."""


def check() -> None:
    """Raise `CannotRunError` that names everything which is missing here."""
    missing = {
        program: package
        for program, package in _PROGRAMS.items()
        if not shutil.which(program, path=SEARCH_PATH)
    }
    reasons = []
    if missing:
        programs, packages = ", ".join(missing), " ".join(sorted(set(missing.values())))
        reasons.append(f"no {programs} here: apt-get install {packages}")
    if os.geteuid():
        reasons.append("not root: the files of the image belong to root")
    if sys.version_info[:2] != (3, 11):
        reasons.append(
            "the wheels are for Debian 12's Python 3.11, and this is Python "
            f"{sys.version_info.major}.{sys.version_info.minor}: make clean, then "
            "make PYTHON=python3.11 test-host"
        )
    if reasons:
        raise CannotRunError("; ".join(reasons))
