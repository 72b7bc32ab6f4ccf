"""fairuse-controller: the server, and what is done to its database from the command line."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import get_args

import sqlalchemy as sa

from controller.contact.inbound.pipe import take_mail
from controller.language.catalogue import CatalogueError
from controller.settings import ControllerSettings, load_controller_settings
from controller.storage import tokens
from controller.storage.database import Database, StorageError
from fairuse_protocol.settings import SettingsError

_CONFIG = Path("/etc/fairuse/controller.toml")


class CommandRefused(Exception):
    """What was asked for makes no sense. The text says why."""


def main() -> None:
    """Run one command; status 2 and one line on stderr when it cannot be done."""
    arguments = _parser().parse_args()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    if arguments.command == "take-mail":
        sys.exit(take_mail(arguments.config, sys.stdin.buffer))
    try:
        settings = load_controller_settings(arguments.config)
        if arguments.command == "run":
            # Half of the start's time, which take-mail would pay for each mail.
            from controller.serving import serve  # noqa: PLC0415 - as above

            sys.exit(asyncio.run(serve(settings)))
        print(asyncio.run(_on_database(settings, arguments)))
    except (SettingsError, StorageError, CatalogueError, CommandRefused) as error:
        print(f"fairuse-controller: {error}", file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairuse-controller", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary)
        command.add_argument("--config", type=Path, default=_CONFIG, help="default: %(default)s")
        return command

    add("run", "Serve until SIGTERM.")
    enrolment = add("enrolment-token", "Print a token that enrols one host once.")
    enrolment.add_argument("--host", required=True, help="the host's name in its reports")
    token = add("token", "Print a new token for the API, the command line and the status page.")
    token.add_argument("--role", required=True, choices=get_args(tokens.ApiRole))
    token.add_argument("--name", required=True, help="whose it is: cases' histories name it")
    add("take-mail", "Take one mail about a case on standard input, as mail servers pipe it.")
    revoke_token = add("revoke-token", "Make an API token good no more.")
    revoke_token.add_argument("--name", required=True)
    revoke_host = add("revoke-host", "Make a host's credential good no more.")
    revoke_host.add_argument("--host", required=True)
    return parser


async def _on_database(settings: ControllerSettings, arguments: argparse.Namespace) -> str:
    """Carry out one command on the database; returns what to print."""
    database = await Database.open(settings.storage.database, settings.storage.password_file)
    try:
        match arguments.command:
            case "enrolment-token":
                return await _enrolment_token(database, settings, arguments.host)
            case "token":
                return await _api_token(database, arguments.name, arguments.role)
            case "revoke-token":
                return await _revoke_token(database, arguments.name)
            case _:
                return await _revoke_host(database, arguments.host)
    finally:
        await database.close()


async def _enrolment_token(database: Database, settings: ControllerSettings, host: str) -> str:
    token = tokens.new_secret()
    expires_at = time.time() + settings.enrolment_valid
    try:
        async with database.write() as connection:
            await tokens.add_enrolment_token(
                connection, token=token, host=host, expires_at=expires_at
            )
    except ValueError as error:
        raise CommandRefused(f"--host: {error}") from error
    return token


async def _api_token(database: Database, name: str, role: tokens.ApiRole) -> str:
    token = tokens.new_secret()
    try:
        async with database.write() as connection:
            await tokens.add_api_token(
                connection, token=token, name=name, role=role, now=time.time()
            )
    except sa.exc.IntegrityError as error:
        raise CommandRefused(
            f'--name: expected a name that no token has had yet, found "{name}"'
        ) from error
    return token


async def _revoke_token(database: Database, name: str) -> str:
    async with database.write() as connection:
        if not await tokens.revoke_api_token(connection, name, time.time()):
            raise CommandRefused(f'--name: there is no good token named "{name}"')
    return f"{name}: revoked"


async def _revoke_host(database: Database, host: str) -> str:
    async with database.write() as connection:
        if not await tokens.revoke_host(connection, host, time.time()):
            raise CommandRefused(f'--host: "{host}" has no good credential')
    return f"{host}: revoked; a running controller learns of it within seconds"


if __name__ == "__main__":
    main()
