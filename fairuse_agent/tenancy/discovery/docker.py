"""Docker containers.

Whoever can ask Docker's socket is root on the host, so the agent never does. Without help it
knows a container by its id alone. Names and labels come from a file that a root service of the
operator's writes whenever a container starts (docs/operations.md has one), a line a container:

    {"Id": "4f1c...", "Name": "/shop", "Labels": {"fairuse.tenant": "acme"}}
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from fairuse_agent.tenancy.discovery.kind import Finding, Kind
from fairuse_agent.tenancy.discovery.shares import CpuShares

TENANT_LABEL, WEIGHT_LABEL = "fairuse.tenant", "fairuse.weight"
_SHORT_ID = 12
"""As `docker ps` shows them."""


class Container(msgspec.Struct, frozen=True):
    """One line of the file: what `docker inspect` says of a container, no more."""

    id: str = msgspec.field(name="Id")
    name: str = msgspec.field(name="Name", default="")
    labels: dict[str, str] | None = msgspec.field(name="Labels", default=None)


class Docker(Kind):
    """The tenant is the label `fairuse.tenant`, else the container's name, else its id; the
    weight the label `fairuse.weight`, else the container's CPU shares."""

    name = "docker"
    places = ("/system.slice/docker-{tenant}.scope", "/docker/{tenant}")

    def __init__(self, containers_file: Path | None, shares: CpuShares) -> None:
        super().__init__()
        self._file = containers_file
        self._shares = shares
        self._read_state: tuple[int, int] | None = None
        self._containers: dict[str, Container] = {}
        self._trouble = ""
        self.unknown = f"it is not in {containers_file} yet"

    def claims(self, path: str) -> bool:
        """Is this a container's? Its id is 64 hexadecimal digits; "buildx" is Docker's own."""
        text = self._captured(path) or ""
        return len(text) == 64 and all(character in "0123456789abcdef" for character in text)

    def of_cgroup(self, path: str) -> Finding | None:
        """A container that the file does not have yet is nobody's until it has."""
        text = self._captured(path)
        if text is None:
            return None
        if self._file is not None and self._read_state is None:
            self.look()
        container = self._containers.get(text)
        if container is None and self._read_state is not None:
            return None
        weight, why = self._shares.weight(path)
        if container is None:
            return Finding(text[:_SHORT_ID], weight, f"container {text[:_SHORT_ID]}; {why}")
        labels, name = container.labels or {}, container.name.lstrip("/")
        tenant = labels.get(TENANT_LABEL) or name or text[:_SHORT_ID]
        by_label = _positive(labels.get(WEIGHT_LABEL, ""))
        if by_label is not None:
            weight, why = by_label, f"label {WEIGHT_LABEL}"
        called = f"container {name}" + (f", label {TENANT_LABEL}" if TENANT_LABEL in labels else "")
        return Finding(tenant, weight, f"{called}; {why}")

    def look(self) -> bool:
        """Read the file when it is another than it was."""
        if self._file is None:
            return False
        try:
            status = self._file.stat()
            state = (status.st_mtime_ns, status.st_ino)
            if state == self._read_state:
                return False
            self._containers = parse_containers(self._file.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            # What was read last holds: a writer that stopped must not rename everybody.
            self._trouble = f"{self._file}: {error}"
            return False
        self._read_state, self._trouble = state, ""
        return True

    def notes(self) -> Sequence[str]:
        """Tells when the file is of no use."""
        if self._trouble:
            return (f"docker: names and labels are as last read: {self._trouble}",)
        return ()


def parse_containers(lines: bytes) -> dict[str, Container]:
    """Containers by id. Raises msgspec.DecodeError for what is no such line."""
    found = msgspec.json.Decoder(Container).decode_lines(lines)
    return {container.id: container for container in found}


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
