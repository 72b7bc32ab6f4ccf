"""`fairuse-agent enrol`: a one-time token becomes this host's own credential."""

from __future__ import annotations

from pathlib import Path

from fairuse_agent.reporting.credential import require_writable, store_credential
from fairuse_agent.reporting.link import ask_for_credential
from fairuse_agent.settings import ControllerLink


async def enrol(settings: ControllerLink, host: str, token: str) -> Path:
    """Get and store the credential; the file's path.

    Raises EnrolmentError or SettingsError, and OSError when the file cannot be written: that is
    tried before the token is spent.
    """
    path = Path(settings.credential_file)
    require_writable(path)
    store_credential(path, await ask_for_credential(settings, host, token))
    return path
