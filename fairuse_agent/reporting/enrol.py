"""`fairuse-agent enrol`: a one-time token becomes this host's own credential."""

from __future__ import annotations

from pathlib import Path

from fairuse_agent.reporting import link
from fairuse_agent.reporting.credential import store_credential
from fairuse_agent.settings import ControllerLink


async def enrol(settings: ControllerLink, host: str, token: str) -> Path:
    """Get and store the credential; the file's path. Raises link.EnrolmentError, SettingsError,
    or OSError when the file cannot be written: the token is spent then, so this is tried first."""
    path = Path(settings.credential_file)
    _require_writable(path)
    store_credential(path, await link.enrol(settings, host, token))
    return path


def _require_writable(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    probe = path.with_name(path.name + ".new")
    probe.touch(mode=0o600)
    probe.unlink()
