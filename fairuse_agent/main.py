"""fairuse-agent: samples this host, reports to the controller, hands orders to the limiter."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
import time
from pathlib import Path

import msgspec

from fairuse_agent.reporting.credential import CredentialError
from fairuse_agent.reporting.delivery import deliver
from fairuse_agent.reporting.enrol import enrol
from fairuse_agent.reporting.inventory import take_inventory
from fairuse_agent.reporting.limiter_client import LimiterClient, LimiterWatch
from fairuse_agent.reporting.link import EnrolmentError, open_link
from fairuse_agent.reporting.orders import Orders
from fairuse_agent.reporting.rounds import Rounds
from fairuse_agent.reporting.spool import Spool, SpoolError
from fairuse_agent.reporting.survey import survey
from fairuse_agent.sampling.hierarchy import NoHierarchyError
from fairuse_agent.sampling.round import Sampler
from fairuse_agent.settings import AgentSettings, load_agent_settings
from fairuse_protocol.limits import SetLimits
from fairuse_protocol.settings import SettingsError

_CONFIG = Path("/etc/fairuse/agent.toml")
_EXIT_FAILED = 1
_EXIT_USAGE = 2

_log = logging.getLogger(__name__)


class _StopRequestedError(Exception):
    """SIGTERM or SIGINT came."""


def main(arguments: list[str] | None = None) -> int:
    """The program. 0 done or stopped by a signal, 1 a part of it died, 2 it cannot start."""
    options = _parse(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        settings = load_agent_settings(options.config)
        match options.command:
            case "run":
                asyncio.run(_run(settings))
            case "enrol":
                token = sys.stdin.readline().strip() if options.token == "-" else options.token
                path = asyncio.run(enrol(settings.controller, host_name(settings), token))
                sys.stdout.write(f"{host_name(settings)} is enrolled; its credential is {path}\n")
            case "tenants":
                _tell_tenants(settings, as_json=options.json)
            case _:
                for line in asyncio.run(survey(settings, host_name(settings))):
                    sys.stdout.write(line + "\n")
    except (
        SettingsError,
        CredentialError,
        EnrolmentError,
        SpoolError,
        NoHierarchyError,
        OSError,
    ) as error:
        _log.error("%s: %s", options.command, error)
        return _EXIT_USAGE
    except ExceptionGroup:
        _log.exception("a part of the agent died, so it ends")
        return _EXIT_FAILED
    return 0


def _tell_tenants(settings: AgentSettings, *, as_json: bool) -> None:
    inventory = asyncio.run(take_inventory(settings))
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(inventory)).decode() + "\n")
    else:
        # Its tables cost memory that a running agent has no use for.
        from fairuse_agent.reporting.inventory_tables import print_inventory  # noqa: PLC0415  # see above

        print_inventory(inventory)


def host_name(settings: AgentSettings) -> str:
    """How the controller knows this host."""
    return settings.host.name or socket.gethostname()


async def _run(settings: AgentSettings) -> None:
    """Until SIGTERM or SIGINT. Raises ExceptionGroup when a part dies."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sampler = Sampler(settings)
    spool = Spool(Path(settings.spool.directory), settings.spool.limit)
    try:
        await _work(settings, sampler, spool, stop)
    except* _StopRequestedError:
        _log.info("stopped; %d reports wait in the spool", len(spool))
    finally:
        await spool.flush()
        spool.close()
        sampler.close()


async def _work(
    settings: AgentSettings, sampler: Sampler, spool: Spool, stop: asyncio.Event
) -> None:
    host, interval = host_name(settings), settings.sampling.interval
    orders = Orders()
    limiter = LimiterWatch(LimiterClient(Path(settings.limiter.socket)))
    rounds = Rounds(host, sampler, spool, limiter)

    def request() -> SetLimits | None:
        return orders.request(
            boot_seconds(),
            places=sampler.places(),
            disks=sampler.disks(),
            capacity=sampler.capacity,
        )

    async with open_link(settings.controller) as link, asyncio.TaskGroup() as parts:
        parts.create_task(rounds.run(interval, clock=time.monotonic), name="rounds")
        parts.create_task(sampler.watch_links(), name="link events")
        parts.create_task(spool.write_behind(), name="spool")
        parts.create_task(deliver(spool, link, orders, clock=boot_seconds), name="delivery")
        parts.create_task(
            limiter.run(request, orders.changed, interval_seconds=interval), name="limiter"
        )
        _log.info("watching %s every %s, reporting to %s", host, interval, settings.controller.url)
        await stop.wait()
        raise _StopRequestedError


def boot_seconds() -> float:
    """The clock of leases: unlike the monotonic one, it counts while the host is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fairuse-agent", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in (
        ("run", "sample and report until SIGTERM"),
        ("enrol", "exchange a one-time token for this host's credential"),
        ("check", "say what the agent finds on this host, what is missing and what that costs"),
        ("tenants", "say whose each cgroup and interface is and why, and what is no tenant's"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        command.add_argument("--config", type=Path, default=_CONFIG, metavar="FILE")
        if name == "tenants":
            command.add_argument("--json", action="store_true", help="for programs")
        if name == "enrol":
            command.add_argument(
                "--token", required=True, help='the token; "-" reads it from standard input'
            )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
