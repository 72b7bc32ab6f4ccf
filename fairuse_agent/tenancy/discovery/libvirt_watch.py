"""libvirt's running domains, followed by its events in a thread of its own.

The connection is libvirt's read-only one, which any local user may open. A daemon that hangs
holds up this thread, and nothing else: rounds look at the last snapshot.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fairuse_agent.tenancy.discovery.domain_xml import Domain, DomainXmlError, parse_domain

if TYPE_CHECKING:
    from collections.abc import Iterator

_AGAIN_SECONDS = 10.0
"""Between two tries to connect."""
_ALL_AGAIN_SECONDS = 600.0
"""No event tells that a processor was plugged in: everything is read again this often."""
_TICK_MILLISECONDS = 500
"""How often the event loop comes round when nothing happens."""
_KEEPALIVE_SECONDS, _KEEPALIVE_COUNT = 5, 3
_SILENT_SECONDS = 10.0

_log = logging.getLogger(__name__)


class LibvirtWatch:
    """Keeps `domains` as libvirt has them. Only one may run in a process: libvirt's event loop
    is the process's."""

    def __init__(self, uri: str = "qemu:///system") -> None:
        self._uri = uri
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._tried = threading.Event()
        self._busy_since: float | None = None
        self._error = ""
        self._outdated: set[str] = set()
        self.domains: Mapping[int, Domain] = {}
        """By id. Replaced as a whole whenever anything in it changes."""
        self.answered = False
        """Did libvirt ever tell its domains? What it does not list then, it does not know."""

    def start(self, patience_seconds: float = 0.0) -> None:
        """Begin, once; wait for the first snapshot or failure for at most `patience_seconds`."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="libvirt", daemon=True)
            self._thread.start()
        self._tried.wait(patience_seconds)

    def trouble(self) -> str:
        """Why nothing new would be learned now; "" while all is well."""
        since = self._busy_since
        if since is not None and (waited := time.monotonic() - since) >= _SILENT_SECONDS:
            return f"libvirt has not answered for {waited:.0f} s"
        return self._error

    def close(self, patience_seconds: float = 2.0) -> None:
        """End the thread, unless it hangs: then it ends with the program."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(patience_seconds)

    def _follow(self) -> None:
        try:
            import libvirt  # noqa: PLC0415 (an extra: most hosts have no libvirt)
        except ImportError as error:
            self._error = f"pip install 'fairuse[libvirt]' is missing: {error}"
            self._tried.set()
            return
        libvirt.registerErrorHandler(lambda *_: None, None)  # They are raised, too.
        libvirt.virEventRegisterDefaultImpl()
        libvirt.virEventAddTimeout(_TICK_MILLISECONDS, lambda *_: None, None)
        while not self._stop.is_set():
            try:
                self._session(libvirt)
            except libvirt.libvirtError as error:
                self._error = f"libvirt does not answer: {error}"
            except Exception as error:  # noqa: BLE001 (whatever it was: told, and tried again)
                _log.exception("following libvirt failed; tried again in %g s", _AGAIN_SECONDS)
                self._error = f"following libvirt failed: {error}"
            self._busy_since = None
            self._tried.set()
            self._stop.wait(_AGAIN_SECONDS)

    def _session(self, libvirt: ModuleType) -> None:
        """One connection, until it ends. Raises libvirtError."""
        with self._waiting():
            connection = libvirt.openReadOnly(self._uri)
        try:
            with self._waiting():
                _keep_alive(libvirt, connection)
                for event in (
                    libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
                    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
                    libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
                ):
                    connection.domainEventRegisterAny(None, event, self._happened, None)
            self._read_all(libvirt, connection)
            self._error = ""
            self._tried.set()
            all_again_at = time.monotonic() + _ALL_AGAIN_SECONDS
            while not self._stop.is_set() and connection.isAlive():
                libvirt.virEventRunDefaultImpl()
                if time.monotonic() >= all_again_at:
                    all_again_at = time.monotonic() + _ALL_AGAIN_SECONDS
                    self._read_all(libvirt, connection)
                elif self._outdated:
                    self._read_outdated(libvirt, connection)
            self._error = "libvirt closed the connection"
        finally:
            connection.close()

    def _happened(self, _connection: Any, domain: Any, *_: Any) -> None:
        """Any event: which domain it is about is all that is kept of it."""
        self._outdated.add(domain.UUIDString())

    def _read_all(self, libvirt: ModuleType, connection: Any) -> None:
        self._outdated.clear()
        with self._waiting():
            listed = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        found = [self._read(libvirt, domain) for domain in listed]
        self._publish({domain.id: domain for domain in found if domain is not None})
        self.answered = True

    def _read_outdated(self, libvirt: ModuleType, connection: Any) -> None:
        outdated, self._outdated = self._outdated, set()
        domains = {
            number: domain for number, domain in self.domains.items() if domain.uuid not in outdated
        }
        for uuid in outdated:
            try:
                with self._waiting():
                    listed = connection.lookupByUUIDString(uuid)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
                continue
            if (domain := self._read(libvirt, listed)) is not None:
                domains[domain.id] = domain
        self._publish(domains)

    def _read(self, libvirt: ModuleType, domain: Any) -> Domain | None:
        """The domain as it runs, or None when it does not, or went meanwhile."""
        try:
            with self._waiting():
                if not domain.isActive():
                    return None
                text = domain.XMLDesc()
            return parse_domain(text)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise
        except DomainXmlError as error:
            _log.info("a domain is left out until its next event: %s", error)
            return None

    def _publish(self, domains: Mapping[int, Domain]) -> None:
        if domains != self.domains:
            self.domains = domains

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Around every question, so that an answer that does not come shows."""
        self._busy_since = time.monotonic()
        try:
            yield
        finally:
            self._busy_since = None


def _keep_alive(libvirt: ModuleType, connection: Any) -> None:
    """Have a daemon that died or hangs noticed within some 20 s, also when nothing is asked."""
    try:
        connection.setKeepAlive(_KEEPALIVE_SECONDS, _KEEPALIVE_COUNT)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:  # A driver without a daemon.
            raise
