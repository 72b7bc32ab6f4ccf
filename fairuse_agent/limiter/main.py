"""fairuse-limiter: run the limiter, lift everything, or say what is held."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys
from pathlib import Path

import msgspec

from fairuse_agent.limiter.daemon import LimiterDaemon, arm_counters
from fairuse_agent.limiter.journal import Journal, JournalBusy, JournalError
from fairuse_agent.limiter.keeper import Keeper
from fairuse_agent.limiter.kernel.host import HostKernel
from fairuse_agent.limiter.kernel.probe import Probed
from fairuse_agent.limiter.leases import Clock, boot_id
from fairuse_agent.limiter.settings import LimiterSettings, load_limiter_settings
from fairuse_agent.limiter.targets import Targets
from fairuse_protocol.limits import (
    GetState,
    LiftAll,
    LimiterError,
    LimiterState,
    decode_limiter_answer,
    encode_line,
)
from fairuse_protocol.messages import MessageError
from fairuse_protocol.settings import SettingsError

DEFAULT_CONFIG = "/etc/fairuse/limiter.toml"
ANSWER_SECONDS = 30.0
EXIT_NOT_DONE, EXIT_USAGE, EXIT_DAMAGED = 1, 2, 3

log = logging.getLogger("fairuse_agent.limiter")


class NoAnswer(Exception):
    """A running limiter did not answer, or answered that it will not."""


def ask(path: str, request: GetState | LiftAll) -> LimiterState:
    """One request to a running limiter. Raises NoAnswer, or OSError without one."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(path)
        connection.sendall(encode_line(request))
        with connection.makefile("rb") as lines:
            line = lines.readline()
    try:
        answer = decode_limiter_answer(line)
    except MessageError as error:
        raise NoAnswer(f"{path}: expected a limiter's answer, found {line[:80]!r}") from error
    if isinstance(answer, LimiterError):
        raise NoAnswer(answer.reason)
    return answer


def run(settings: LimiterSettings) -> int:
    """Serve until told to stop. 0 when everything was restored."""
    with Journal(Path(settings.journal)) as journal:
        kernel = HostKernel(targets=Targets(settings.cgroups, settings.interfaces))
        arm_counters(kernel)
        keeper = Keeper(settings, kernel, journal, Clock(), boot_id())
        return 0 if asyncio.run(LimiterDaemon(settings, keeper).run()) else EXIT_NOT_DONE


def lift_all(settings: LimiterSettings) -> int:
    """Lift everything: through a running limiter, or from the journal when there is none."""
    try:
        with Journal(Path(settings.journal)) as journal:
            return _lift_from_journal(settings, journal)
    except JournalBusy:
        state = ask(settings.socket, LiftAll(reason="fairuse-limiter lift-all"))
    left = [*(held.order for held in state.held), *(one.order for one in state.suspended)]
    if left:
        names = ", ".join(left)
        sys.stderr.write(f"the running limiter could not lift yet, and tries again: {names}\n")
        return EXIT_NOT_DONE
    sys.stdout.write("nothing is limited: the running limiter lifted everything\n")
    return 0


def _lift_from_journal(settings: LimiterSettings, journal: Journal) -> int:
    # What stands is read from the kernel, so there is no need to try out what it could do.
    kernel = HostKernel(probed=Probed(reason="not probed"))
    keeper = Keeper(settings, kernel, journal, Clock(), boot_id())
    keeper.start("lift-all")
    for lifted in keeper.state().lifted:
        restored = "restored" if lifted.restored else f"NOT restored: {lifted.detail}"
        sys.stdout.write(f"{lifted.order} {lifted.tenant} {lifted.resource}: {restored}\n")
    left = keeper.left_over()
    if left:
        sys.stderr.write(f"still limited: {', '.join(left)}; the reason is above\n")
        return EXIT_NOT_DONE
    if keeper.damage:
        sys.stderr.write(f"lifted what could be read. {keeper.damage}\n")
        return EXIT_DAMAGED
    sys.stdout.write("nothing is limited\n")
    return 0


def status(settings: LimiterSettings, *, as_json: bool) -> int:
    """Print what a running limiter holds."""
    state = ask(settings.socket, GetState())
    if as_json:
        sys.stdout.write(msgspec.json.encode(state).decode() + "\n")
        return 0
    for resource, way in sorted(state.ways.items()):
        sys.stdout.write(f"{resource:8} by {way}\n")
    for held in state.held:
        sys.stdout.write(
            f"held     {held.order} {held.tenant} {held.resource} on {', '.join(held.targets)},"
            f" {held.remaining_seconds:.0f} s left\n"
        )
    for frozen in state.suspended:
        sys.stdout.write(
            f"frozen   {frozen.order} {frozen.tenant} on {', '.join(frozen.targets)} by"
            f" {frozen.ordered_by} ({frozen.reason}), {frozen.remaining_seconds:.0f} s left\n"
        )
    for refused in state.refused:
        promise = f" (promise {refused.promise})" if refused.promise else ""
        sys.stdout.write(f"refused  {refused.order} {refused.tenant}{promise}: {refused.reason}\n")
    if not state.held and not state.suspended:
        sys.stdout.write("nothing is limited\n")
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fairuse-limiter", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in (
        ("run", "serve the agent; lift everything on start and stop"),
        ("lift-all", "lift everything now; works with nothing else running"),
        ("status", "say what a running limiter holds"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE")
        if name == "status":
            command.add_argument("--json", action="store_true", dest="as_json")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """The program. 0 done, 1 not done, 2 wrong use or configuration, 3 lifted from a damaged
    journal."""
    options = _parse(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        settings = load_limiter_settings(options.config)
        if options.command == "run":
            return run(settings)
        if options.command == "lift-all":
            return lift_all(settings)
        return status(settings, as_json=options.as_json)
    except (SettingsError, JournalBusy, JournalError) as error:
        log.error("%s", error)
        return EXIT_USAGE
    except (OSError, NoAnswer) as error:
        log.error("%s: %s", options.command, error)
        return EXIT_NOT_DONE


if __name__ == "__main__":
    sys.exit(main())
