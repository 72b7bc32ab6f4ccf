"""`fairuse policy`: what a policy means before it is put to use. Files only, no controller."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from controller.fairshare.changes import Change, changes
from controller.fairshare.explain import Explanation, explain
from controller.fairshare.oddities import Oddity, oddities
from controller.fairshare.policy import Policy
from fairuse_cli.failures import USAGE, CommandFailed
from fairuse_cli.options import AsJson, console_for_output, print_json
from fairuse_cli.policy_screen import changes_screen, policy_screen
from fairuse_cli.tables import is_plain
from fairuse_protocol.messages import Message
from fairuse_protocol.settings import SettingsError, load_settings

policy_app = typer.Typer(
    name="policy",
    help="What a policy means, and what changes for whom between two.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A policy's TOML file.")]


class Checked(Message):
    """One file that was looked at: what it means, or why it is refused."""

    file: str
    problem: str = ""
    explanation: Explanation | None = None
    oddities: tuple[Oddity, ...] = ()


class CheckAnswer(Message):
    """What `fairuse policy check --json` prints."""

    files: tuple[Checked, ...]


class DiffAnswer(Message):
    """What `fairuse policy diff --json` prints."""

    before: str
    after: str
    changes: tuple[Change, ...]


@policy_app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Policies' TOML files.")],
    as_json: AsJson = False,
) -> None:
    """Say in plain words what policies do; refuse those that cannot be meant, with file and line.

    The exit status is 2 when one of them is refused.
    """
    checked = [_check(file) for file in files]
    if as_json:
        print_json(msgspec.json.encode(CheckAnswer(files=tuple(checked))))
    else:
        console = console_for_output()
        for each in checked:
            if each.explanation is not None:
                console.print(
                    policy_screen(
                        each.file, each.explanation, each.oddities, plain=is_plain(console)
                    )
                )
    problems = [each.problem for each in checked if each.problem]
    if problems:
        raise CommandFailed(USAGE, "\n  ".join(["refused:", *problems]))


@policy_app.command()
def diff(before: PolicyFile, after: PolicyFile, as_json: AsJson = False) -> None:
    """Say what changes for whom when the second policy takes the place of the first."""
    old, new = _load(before), _load(after)
    found = changes(old, new)
    if as_json:
        print_json(msgspec.json.encode(DiffAnswer(before=old.key, after=new.key, changes=found)))
        return
    console = console_for_output()
    console.print(changes_screen(old.key, new.key, found, plain=is_plain(console)))


def _check(file: Path) -> Checked:
    try:
        policy = load_settings(file, Policy)
    except SettingsError as error:
        return Checked(file=str(file), problem=str(error))
    return Checked(file=str(file), explanation=explain(policy), oddities=oddities(policy))


def _load(file: Path) -> Policy:
    try:
        return load_settings(file, Policy)
    except SettingsError as error:
        raise CommandFailed(USAGE, str(error)) from error
