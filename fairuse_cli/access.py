"""Which controller to talk to, and with which token.

What is typed comes first, then the environment (FAIRUSE_URL, FAIRUSE_TOKEN, FAIRUSE_TOKEN_FILE),
then `var/cli.toml` in the current directory (written by `fairuse run` and the demo), then
`~/.config/fairuse/cli.toml`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from fairuse_cli.failures import USAGE, CommandFailed
from fairuse_protocol.settings import Settings, SettingsError, load_settings

LOCAL_SETTINGS = Path("var/cli.toml")
DEFAULT_URL = "http://127.0.0.1:8460"


class CliSettings(Settings):
    """The whole of cli.toml. A relative `token_file` is relative to the file that names it."""

    url: str = ""
    token_file: str = ""


class Access(msgspec.Struct, frozen=True):
    """A controller's address and the token to show it; None: there is none."""

    url: str
    token: str | None


def find_access(
    url: str | None,
    token_file: Path | None,
    *,
    environment: Mapping[str, str],
    directory: Path,
    home: Path,
) -> Access:
    """Work out where to go, or raise CommandFailed naming the setting that is wrong."""
    settings = _load(directory / LOCAL_SETTINGS) or _load(home / ".config/fairuse/cli.toml")
    settings = settings or CliSettings()
    where = url or environment.get("FAIRUSE_URL") or settings.url or DEFAULT_URL
    if token_file is None and environment.get("FAIRUSE_TOKEN"):
        return Access(where, environment["FAIRUSE_TOKEN"].strip())
    named = token_file or environment.get("FAIRUSE_TOKEN_FILE") or settings.token_file
    return Access(where, _read_token(Path(named)) if named else None)


def _load(path: Path) -> CliSettings | None:
    """The settings in `path`; None if there are none."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return None
    if owner not in (0, os.getuid()):
        # Somebody else's file could send this user's token to a place of their choice.
        raise CommandFailed(
            USAGE,
            f"{path}: expected a file of this user or root, found one of user id {owner}; "
            "remove it, or run the command elsewhere",
        )
    try:
        settings = load_settings(path, CliSettings)
    except SettingsError as error:
        raise CommandFailed(USAGE, str(error)) from error
    if not settings.token_file:
        return settings
    return CliSettings(url=settings.url, token_file=str(path.parent / settings.token_file))


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(USAGE, f"the token file cannot be used: {error}") from error
    if not token:
        raise CommandFailed(USAGE, f"{path}: expected a token, found an empty file")
    return token
