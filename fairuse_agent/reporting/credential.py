"""The host's own secret on disk: who may read it, and how it gets there."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class CredentialError(Exception):
    """There is no credential that can be used. The text says what to do, never the secret."""


def read_credential(path: Path) -> str:
    """The credential, or raise CredentialError."""
    try:
        mode = path.stat().st_mode
        credential = path.read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise CredentialError(
            f"{path}: this host has no credential yet; get one with "
            "`fairuse-agent enrol --config FILE --token TOKEN`"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialError(f"{path}: the credential cannot be read: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CredentialError(
            f"{path}: expected mode 0600, found {stat.S_IMODE(mode):04o}: others may know this "
            "credential; revoke it at the controller and enrol again"
        )
    if not credential or not credential.isprintable() or " " in credential:
        raise CredentialError(f"{path}: expected one line with a credential; enrol again")
    return credential


def require_writable(path: Path) -> None:
    """Make the credential's folder where it is missing; OSError if no file can be made there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    probe = path.with_name(path.name + ".new")
    probe.touch(mode=0o600)
    probe.unlink()


def store_credential(path: Path, credential: str) -> None:
    """Put the credential in place whole, or not at all (OSError), with mode 0600.

    Root may enrol a host for the agent's unprivileged user: the file then belongs to whoever
    owns its folder. The one-time token is spent, so this is made durable before it returns.
    """
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(credential + "\n")
            file.flush()
            if os.geteuid() == 0:
                folder = path.parent.stat()
                os.fchown(descriptor, folder.st_uid, folder.st_gid)
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder_descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder_descriptor)
    finally:
        os.close(folder_descriptor)
