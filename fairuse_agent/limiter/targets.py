"""Which cgroups and interfaces an order may name at all, whoever sends it (promise 8)."""

from __future__ import annotations

import re
from pathlib import Path

PROC = Path("/proc")
HOSTS_OWN_CGROUPS = ("/", "/init.scope", "/system.slice", "/user.slice", "/machine.slice")
"""The host itself, and containers of everybody's groups; what lies below them may be a tenant."""

_TOKEN = re.compile(r"\*+|[^*]+")


class Targets:
    """The patterns of limiter.toml, and what never is a tenant's.

    In a pattern `*` stands for anything within a component, a component `**` for any components,
    as in agent.toml. Raises ValueError for a pattern that is none.
    """

    def __init__(
        self,
        cgroups: tuple[str, ...] = ("**",),
        interfaces: tuple[str, ...] = ("*",),
        proc: Path = PROC,
    ) -> None:
        self._cgroups = [_path(text) for text in cgroups]
        self._interfaces = [_component(text) for text in interfaces]
        self._proc = proc

    def objection_to_cgroup(self, cgroup: str) -> str | None:
        """Why this group must not be limited, or None."""
        if cgroup in HOSTS_OWN_CGROUPS:
            return f"{cgroup} is the host's own and no tenant's: name what lies below it"
        for own in self._own_cgroups():
            if f"{own}/".startswith(f"{cgroup}/"):
                return f"{cgroup} holds the limiter itself, which must not slow itself down"
        if not any(pattern.fullmatch(cgroup) for pattern in self._cgroups):
            return f"{cgroup} fits none of `cgroups` in limiter.toml"
        return None

    def objection_to_interface(self, name: str) -> str | None:
        """Why this interface must not be limited, or None."""
        if name == "lo" or name in self._uplinks():
            return f"{name} carries the host's own traffic (lo, or a default route), not a tenant's"
        if not any(pattern.fullmatch(name) for pattern in self._interfaces):
            return f"{name} fits none of `interfaces` in limiter.toml"
        return None

    def objection_to_uplink(self, name: str) -> str | None:
        """Why tenants without an interface must not be limited on this uplink, or None: its root
        qdisc is put aside for as long, which the operator has to be able to rule out."""
        if not any(pattern.fullmatch(name) for pattern in self._interfaces):
            return (
                f"the uplink {name} fits none of `interfaces` in limiter.toml: name it there where"
                " tenants without an interface of their own may be limited on it"
            )
        return None

    def uplinks(self) -> list[str]:
        """Interfaces of default routes."""
        return sorted(self._uplinks() - {"lo"})

    def _own_cgroups(self) -> list[str]:
        lines = (self._proc / "self/cgroup").read_text().splitlines()
        return [line.split(":", 2)[2] for line in lines]

    def _uplinks(self) -> set[str]:
        """Interfaces of IPv4 and IPv6 default routes (proc_net(5): route, ipv6_route)."""
        found = set()
        for words in self._routes("net/route"):
            if words[1] == words[7] == "00000000":
                found.add(words[0])
        for words in self._routes("net/ipv6_route"):
            if set(words[0]) == {"0"} and words[1] == "00":
                found.add(words[-1])
        return found

    def _routes(self, file: str) -> list[list[str]]:
        path = self._proc / file
        if not path.exists():
            return []  # a kernel without this protocol
        return [line.split() for line in path.read_text().splitlines()]


def _path(text: str) -> re.Pattern[str]:
    expression = ""
    for part in text.strip("/").split("/"):
        expression += "(?:/[^/]+)*" if part == "**" else "/" + _component(part).pattern
    return re.compile(expression)


def _component(text: str) -> re.Pattern[str]:
    if not text or "/" in text:
        raise ValueError(f'"{text}": expected a name, in which * stands for anything')
    if "**" in text:
        raise ValueError(f'"{text}": expected "**" to be a whole path component')
    words = _TOKEN.findall(text)
    return re.compile("".join("[^/]*" if word == "*" else re.escape(word) for word in words))
