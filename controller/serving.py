"""The running controller: everything started together, watched, and stopped in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from controller.cases.desk import Desk
from controller.cases.policybook import PolicyBook
from controller.cases.rings import Modes
from controller.contact.addresses import CaseAddresses
from controller.contact.announcer import Announcer
from controller.contact.directory import ContactDirectory
from controller.contact.dispatcher import Dispatcher, build_dispatcher
from controller.contact.inbound.imap import ImapReader
from controller.contact.inbound.mailroom import Mailroom
from controller.contact.inbound.taking import take
from controller.contact.links import SECRET_BYTES, CustomerLinks, read_or_make_secret
from controller.contact.own_templates import own_templates
from controller.contact.sources.lookup import Lookup
from controller.contact.sources.over_http import HttpSource
from controller.contact.sources.pushed import PushedTenants
from controller.lookup_settings import Directory
from controller.settings import ControllerSettings, Listen
from controller.storage import reports
from controller.storage.database import Database
from controller.web.app import build_app
from controller.web.credentials import REFRESH_SECONDS, HostCredentials
from controller.web.intake import Intake
from controller.web.services import Services
from fairuse_protocol.settings import SettingsError

_log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_PRUNE_SECONDS = 60.0
_ERASE_SECONDS = 3600.0
_COLLECT_AFTER_OBJECTS = 50_000
_SHUTDOWN_SECONDS = 5.0
"""What requests under way get to end when the controller stops."""


class TaskEnded(Exception):
    """A background task that should run for ever has returned."""


async def serve(settings: ControllerSettings) -> int:
    """Serve until SIGTERM or SIGINT; returns the program's status.

    Raises SettingsError or StorageError when it cannot start.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _ask_to_stop, stop, number)
    status = await _serve(settings, stop)
    _log.info("the controller has stopped")
    return status


async def _serve(settings: ControllerSettings, stop: asyncio.Event) -> int:
    """Everything opened, run until `stop`, and closed."""
    tls = _tls(settings.listen)
    database = await Database.open(settings.storage.database, settings.storage.password_file)
    try:
        services = await build_services(settings, database, time.time)
        addresses = _addresses(settings)
        dispatcher = build_dispatcher(
            settings.contact,
            services.policies,
            database,
            services.desk,
            services.links,
            services.directory,
            services.clock,
            services.templates,
            addresses,
        )
        announcer = Announcer(
            database,
            services.desk,
            services.policies,
            services.directory,
            dispatcher.postman,
            settings.contact,
            clock=services.clock,
        )
        try:
            return await _run(services, dispatcher, announcer, addresses, tls, stop)
        finally:
            await dispatcher.close()
            if services.lookup:
                await services.lookup.close()
    finally:
        await database.close()


def _ask_to_stop(stop: asyncio.Event, number: signal.Signals) -> None:
    """Once is enough: who sends it again waits for the same end."""
    if not stop.is_set():
        _log.info(
            "%s: the controller stops; what is under way has %g s to end",
            number.name,
            _SHUTDOWN_SECONDS,
        )
    stop.set()


async def build_services(
    settings: ControllerSettings, database: Database, clock: Callable[[], float]
) -> Services:
    """What the handlers work with, with its caches filled from the store.

    Raises SettingsError when the provider's own templates cannot be used.
    """
    lookup = _lookup(settings.contact.directory, clock)
    pushed = PushedTenants(database, clock)
    directory = _directory(settings, pushed, lookup)
    policies = PolicyBook(
        Path(settings.policies_file) if settings.policies_file else None, directory.plan_of, clock
    )
    rings = Path(settings.rings_file) if settings.rings_file else None
    desk = Desk(database, policies, Modes(settings.mode, rings), clock)
    credentials = HostCredentials(database, clock)
    await directory.follow()
    await desk.start()
    await credentials.refresh()
    return Services(
        settings=settings,
        policies=policies,
        database=database,
        desk=desk,
        clock=clock,
        links=CustomerLinks(_secret(settings), settings.contact.page_url, clock),
        templates=own_templates(settings.contact.templates, settings.contact.provider_name),
        directory=directory,
        pushed=pushed,
        lookup=lookup,
        credentials=credentials,
        intake=Intake(database),
    )


def _directory(
    settings: ControllerSettings, pushed: PushedTenants, lookup: Lookup | None
) -> ContactDirectory:
    path = Path(settings.contact.tenants_file) if settings.contact.tenants_file else None
    if path is not None and not path.exists():
        _log.warning("contact.tenants_file: %s does not exist", path)
    required = settings.mode != "observe" and lookup is None
    return ContactDirectory(path, required=required, pushed=pushed, lookup=lookup)


def _lookup(settings: Directory, clock: Callable[[], float]) -> Lookup | None:
    if settings.http.url:
        return Lookup(HttpSource(settings.http, settings.timeout), settings, clock)
    if not settings.ldap.host:
        return None
    try:
        from controller.contact.sources.over_ldap import LdapSource  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SettingsError(
            "contact.directory.ldap: expected python-ldap, found none; install fairuse[ldap]"
        ) from error
    return Lookup(LdapSource(settings.ldap, settings.timeout), settings, clock)


def _secret(settings: ControllerSettings) -> bytes:
    """What signs the customers' links and the addresses that their mail comes back to."""
    path = Path(settings.contact.link_secret_file)
    try:
        secret = read_or_make_secret(path)
    except OSError as error:
        raise SettingsError(f"contact.link_secret_file: {path}: {error}") from error
    if len(secret) < SECRET_BYTES:
        raise SettingsError(
            f"contact.link_secret_file: {path}: expected {SECRET_BYTES} bytes or more, "
            f"found {len(secret)}"
        )
    return secret


def _addresses(settings: ControllerSettings) -> CaseAddresses | None:
    mailbox = settings.contact.mailbox.reply_to
    return CaseAddresses(_secret(settings), mailbox) if mailbox else None


def _tls(listen: Listen) -> ssl.SSLContext | None:
    if not listen.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(listen.certificate, listen.private_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"listen.certificate: {listen.certificate} with {listen.private_key}: "
            f"expected a PEM certificate and its key: {error}"
        ) from error
    return context


async def _run(
    services: Services,
    dispatcher: Dispatcher,
    announcer: Announcer,
    addresses: CaseAddresses | None,
    tls: ssl.SSLContext | None,
    stop: asyncio.Event,
) -> int:
    """Everything until `stop`; a task that dies ends all the others and the program."""
    work: dict[str, Callable[[], Awaitable[None]]] = {
        "storing reports": services.intake.run,
        "sending notices": dispatcher.run,
        "announcing": announcer.run,
        "the cases' clock": lambda: _every(_TICK_SECONDS, services.desk.tick),
        "reading credentials": lambda: _every(REFRESH_SECONDS, services.credentials.refresh),
        "reading settings again": lambda: _every(_TICK_SECONDS, lambda: _refresh(services)),
        "pruning reports": lambda: _every(_PRUNE_SECONDS, lambda: _prune(services)),
        "erasing old cases": lambda: _every(_ERASE_SECONDS, lambda: _erase(services)),
        **(_mail_coming_back(services, addresses) if addresses else {}),
    }
    if services.lookup:
        work["looking tenants up"] = services.lookup.run
    status = 0
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_watched(name, run)) for name, run in work.items()]
            async with _listening(services, tls):
                _spare_the_collector()
                await stop.wait()
            for task in tasks:
                task.cancel()
    except* Exception as errors:  # noqa: BLE001 - whatever it was, it ends the program
        for error in errors.exceptions:
            _log.critical("the controller ends: %s", error)
        status = 1
    return status


def _mail_coming_back(
    services: Services, addresses: CaseAddresses
) -> dict[str, Callable[[], Awaitable[None]]]:
    imap = services.settings.contact.mailbox.imap
    mailroom = Mailroom(
        services.database, services.desk, services.directory, addresses, services.clock
    )
    work: dict[str, Callable[[], Awaitable[None]]] = {"judging mail": mailroom.run}
    if imap.host:
        reader = ImapReader(
            imap,
            addresses,
            lambda raw: take(services.database, addresses, raw, services.clock()),
        )
        work["reading the mailbox"] = reader.run
    return work


def _spare_the_collector() -> None:
    """Windows are millions of small objects that live for long and form no cycles.

    Looking through them over and over took half of the time of taking a report in.
    """
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 20, 100)


async def _watched(name: str, run: Callable[[], Awaitable[None]]) -> None:
    try:
        await run()
    except Exception:
        _log.exception("%s failed", name)
        raise
    raise TaskEnded(f"{name} has ended, which it never should")


async def _every(seconds: float, action: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        await action()


async def _refresh(services: Services) -> None:
    """What is changed on disk, or by another controller, is in force within a second or two."""
    await services.directory.follow()
    services.policies.refresh()
    services.desk.modes.refresh()


async def _prune(services: Services) -> None:
    """In small transactions: reports that come in meanwhile wait for one of them at most."""
    before = services.clock() - services.settings.storage.keep_reports
    while True:
        async with services.database.write() as connection:
            if await reports.prune(connection, before) == 0:
                return


async def _erase(services: Services) -> None:
    keep = services.settings.storage.keep_cases
    reason = f"closed for longer than {keep} (keep_cases)"
    while (await services.eraser.erase_old(keep, reason)).cases:
        continue


@asynccontextmanager
async def _listening(services: Services, tls: ssl.SSLContext | None) -> AsyncIterator[None]:
    listen = services.settings.listen
    # The access log would hold customers' links, which are secrets.
    runner = web.AppRunner(build_app(services), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen.host, listen.port, ssl_context=tls).start()
        port = runner.addresses[0][1]
        scheme = "https" if tls else "http"
        _log.info(
            "serving %s://%s:%d, mode %s", scheme, listen.host, port, services.desk.modes.most
        )
        yield
    finally:
        await runner.cleanup()
