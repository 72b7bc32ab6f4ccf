"""Our nftables tables, one for each direction of one cgroup on one uplink.

A table has a counter of what the cgroup's sockets moved there, and one rule, which finds those
packets, counts them, and does nothing more while the tenant is only measured. Each knob has a
table of its own, so that none can be in another's way, and one transaction makes, changes or
removes it whole. It holds the number that nft found for the cgroup's path: a group that is made
anew under the same name is another one to the kernel, and to `Knob.identity`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from fairuse_agent.limiter.kernel import nft
from fairuse_agent.limiter.kernel.knobs import KernelError, Knob, Refused
from fairuse_agent.limiter.kernel.mounts import Mounts, group_of, identity_of

log = logging.getLogger(__name__)

PREFIX = "fairuse-"
Way = Literal["cgroup-out", "cgroup-in"]
OUT: Way = "cgroup-out"
IN: Way = "cgroup-in"
_NFT_LOOKS_BELOW = Path("/sys/fs/cgroup")
"""Where nft takes cgroup paths to begin (SYSFS_CGROUPSV2_PATH in its source)."""
_COUNTER = "moved"
_SPEAKABLE = re.compile(r'[^"*\x00-\x1f\x7f]+')
"""What a quoted word of nft holds as it is: "*" at its end would be a pattern."""
_PLAIN_INTERFACE = re.compile(r"[A-Za-z0-9._-]+")


class Tables:
    """Makes, reads and removes them."""

    def __init__(self, mounts: Mounts) -> None:
        self._root = mounts.v2
        self._standing: set[str] | None = None
        """Ours that may stand now; None until looked, for what an earlier process left."""

    def knob(self, kind: Way, cgroup: str, uplink: str) -> Knob:
        """The knob of a cgroup on an uplink. Raises Gone, or Refused for what nft cannot name."""
        if not nft.available():
            raise Refused(nft.MISSING)
        if self._root is None or not self._root.is_relative_to(_NFT_LOOKS_BELOW):
            raise Refused(
                f"nftables finds cgroups below {_NFT_LOOKS_BELOW} only, and no cgroup2 hierarchy"
                " is mounted there"
            )
        if not _SPEAKABLE.fullmatch(cgroup) or not _PLAIN_INTERFACE.fullmatch(uplink):
            raise Refused(f"{cgroup} on {uplink}: nftables cannot be told of such a name")
        return Knob(
            kind=kind,
            target=cgroup,
            identity=identity_of(self._root, cgroup),
            device=uplink,
        )

    def check_present(self, knob: Knob) -> None:
        """Raise Gone unless the very cgroup is there."""
        if self._root is None:
            raise KernelError("the cgroup2 hierarchy is not mounted now")
        group_of(self._root, knob)

    def moved_bytes(self, knob: Knob) -> int:
        """What went the knob's way since its table was made, which this does where it is not
        there. Packets are counted as sockets see them: those that the kernel merged with one
        IP header, none with Ethernet's."""
        self.check_present(knob)
        found = nft.listed("counter", "inet", _name(knob), _COUNTER)
        if found is None:
            self.put(knob, "")
            return 0
        return next(int(each["counter"]["bytes"]) for each in found if "counter" in each)

    def put(self, knob: Knob, statement: str) -> None:
        """Let the rule do `statement` with every packet, after counting it."""
        table = _name(knob)
        if self._standing is not None:
            self._standing.add(table)
        nft.load(self._script(knob, table, statement))
        self.check_present(knob)

    def statement(self, knob: Knob) -> list[Any] | None:
        """What the rule does with a packet that it has counted, as nft tells it; None where the
        table is not there or not as we make it."""
        found = nft.listed("table", "inet", _name(knob))
        if found is None:
            return []
        rules = [each["rule"]["expr"] for each in found if "rule" in each]
        if len(rules) != 1:
            return None
        names = [next(iter(statement)) for statement in rules[0][:3]]
        return list(rules[0][3:]) if names == ["match", "match", "counter"] else None

    def remove(self, knob: Knob) -> None:
        """Take the table away, where it is."""
        self._remove(_name(knob))

    def keep_only(self, knobs: Collection[Knob]) -> None:
        """Remove every table of ours but those of these knobs."""
        kept = {_name(knob) for knob in knobs if knob.kind in (OUT, IN)}
        if self._standing is None:
            self._standing = set(nft.tables(PREFIX))
        for table in self._standing - kept:
            self._remove(table)

    def _remove(self, table: str) -> None:
        # "add" first: to delete what is not there would be an error.
        nft.load(f"add table inet {table}\ndelete table inet {table}\n")
        if self._standing is not None:
            self._standing.discard(table)

    def _script(self, knob: Knob, table: str, statement: str) -> str:
        """One transaction for making and for changing; the counter goes on."""
        hook, side = ("output", "oifname") if knob.kind == OUT else ("input", "iifname")
        if self._root is None:
            raise KernelError("the cgroup2 hierarchy is not mounted now")
        below = self._root.relative_to(_NFT_LOOKS_BELOW)
        path = f"{below}{knob.target}".removeprefix("./").removeprefix(".").lstrip("/")
        level = knob.target.count("/")
        return (
            f"add table inet {table}\n"
            f"add counter inet {table} {_COUNTER}\n"
            f"add chain inet {table} {hook}"
            f" {{ type filter hook {hook} priority filter; policy accept; }}\n"
            f"flush chain inet {table} {hook}\n"
            f'add rule inet {table} {hook} {side} "{knob.device}"'
            f' socket cgroupv2 level {level} "{path}" counter name "{_COUNTER}" {statement}\n'
        )


def _name(knob: Knob) -> str:
    way = "out" if knob.kind == OUT else "in"
    return f"{PREFIX}{way}-{knob.identity:x}-{knob.device}"
