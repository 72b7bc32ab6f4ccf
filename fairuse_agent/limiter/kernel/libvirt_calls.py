"""Speaking to libvirt, which owns the limits of the domains that it runs.

Each question opens a connection of its own and closes it: a restart of libvirtd in between is not
even noticed, and one that is started on demand can end again. libvirt-python releases the
interpreter lock while it waits, so that a hanging libvirtd costs a bounded time (patience.py).
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree as ET

from fairuse_agent.limiter.kernel.knobs import Gone, KernelError
from fairuse_agent.limiter.kernel.mounts import Mounts, checked, identity_of
from fairuse_agent.limiter.kernel.patience import Patience

Result = TypeVar("Result")

URI = "qemu:///system"
SOCKETS = (Path("/run/libvirt/libvirt-sock"), Path("/run/libvirt/virtqemud-sock"))
"""libvirtd's, or virtqemud's where libvirt is split up; systemd keeps them over a restart."""
LIVE = 1
"""VIR_DOMAIN_AFFECT_LIVE: what runs now; the stored definition is never touched."""
_NO_DOMAIN = 42
"""VIR_ERR_NO_DOMAIN (libvirt/virterror.h)."""
_SCOPE = re.compile(r"machine-qemu\\x2d(\d+)\\x2d[^/]*\.scope")


def domain_id(cgroup: str) -> int | None:
    """The id of the running domain whose scope this group is, or None."""
    found = _SCOPE.fullmatch(cgroup.rpartition("/")[2])
    return int(found[1]) if found else None


def check_scope(mounts: Mounts, cgroup: str, identity: int | None = None) -> int:
    """The inode of a domain's scope. Raises Gone without it, or when it is not `identity`: ids are
    given anew when libvirtd starts over, and a scope's name with them."""
    below = checked(cgroup)
    root = next((root for root in mounts.roots() if (root / below).is_dir()), None)
    if root is None:
        raise Gone(f"{cgroup} does not exist")
    found = identity_of(root, cgroup)
    if identity not in (None, found):
        raise Gone(f"{cgroup} was removed, and another domain's scope has its name")
    return found


class Libvirt:
    """The library and the daemon. `library` is what `import libvirt` gives."""

    def __init__(
        self,
        library: Any = None,
        sockets: tuple[Path, ...] = SOCKETS,
        patience: Patience | None = None,
    ) -> None:
        self._library = library
        self._sockets = sockets
        self._patience = patience or Patience("libvirtd")

    def is_here(self) -> bool:
        """Whether domains can be limited by libvirt on this host: both are installed."""
        installed = self._library is not None or importlib.util.find_spec("libvirt") is not None
        return installed and any(socket.exists() for socket in self._sockets)

    def ask(self, about: str, question: Callable[[Any], Result]) -> Result:
        """What `question` returns, given a connection. Raises Gone when the domain is not running,
        KernelError for all else that libvirt will not do or does not answer in time."""
        if self._library is None:
            self._library = importlib.import_module("libvirt")
            # Otherwise the C library writes every error to stderr besides raising it.
            self._library.registerErrorHandler(lambda _context, _error: None, None)
        library = self._library

        def speak() -> Result:
            connection = library.open(URI)
            try:
                return question(connection)
            finally:
                connection.close()

        try:
            return self._patience.call(about, speak)
        except library.libvirtError as error:
            if error.get_error_code() == _NO_DOMAIN:
                raise Gone(f"{about}: libvirt runs no such domain any more") from error
            raise KernelError(f"{about}: libvirt answers: {error}") from error


def devices(domain: Any, path: str) -> list[ET.Element]:
    """The elements at `path` below <devices> of a running domain."""
    return ET.fromstring(domain.XMLDesc()).findall(f"devices/{path}")  # noqa: S314  # libvirtd, which is root, wrote it
