"""agent.toml: what the agent watches, whose it is, and where it reports."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from fairuse_protocol.settings import Settings, load_settings, require
from fairuse_protocol.units import Duration, Rate, Size

KindName = Literal["libvirt", "proxmox", "lxc", "nspawn", "docker", "kubernetes", "slices", "users"]


class ControllerLink(Settings):
    """Where reports go. Plain http is accepted for loopback addresses only."""

    url: str = "http://127.0.0.1:8460"
    credential_file: str = "/var/lib/fairuse-agent/credential"
    ca_file: str = ""
    """PEM certificates to trust instead of the system's; empty uses the system's."""


class Sampling(Settings):
    """How often the kernel is read. Ten seconds see a burst and cost next to nothing."""

    interval: Duration = Duration(10)

    def __post_init__(self) -> None:
        """Below a second, a round's own cost and the scheduler's noise would show."""
        require(
            1 <= self.interval <= 300, "interval", expected="1s to 5m", found=str(self.interval)
        )


class Spool(Settings):
    """Reports wait here while the controller is away; the oldest go first when it is full."""

    directory: str = "/var/lib/fairuse-agent/spool"
    limit: Size = Size(64 * 10**6)


class Host(Settings):
    """What this host can deliver, where the kernel does not know. Unset means unknown."""

    name: str = ""
    """How the controller knows this host; empty uses the system's host name."""
    uplinks: tuple[str, ...] = ()
    """Interfaces that lead to the world; empty uses those of the default routes."""
    disks: tuple[str, ...] = ()
    """Whole disks that tenants use; empty uses all real ones."""
    disk_bandwidth: Rate | None = None
    disk_operations_per_second: float | None = None
    net_in: Rate | None = None
    net_out: Rate | None = None
    """Capacity of all uplinks together; unset uses their link speed, where they tell one."""
    net_in_packets_per_second: float | None = None
    net_out_packets_per_second: float | None = None
    """What the host can forward of small packets; unset: only bytes count."""


class TenantRule(Settings):
    """Whose a cgroup or an interface is.

    In `cgroup` and `interfaces`, `{tenant}` captures the tenant's name from one path component
    or interface name, `*` stands for anything within a component, `**` for any components. In
    `interfaces`, `{tenant}` is the name that the rule's `cgroup` (or the interface) gave.
    """

    cgroup: str = ""
    interfaces: tuple[str, ...] = ()
    weight: float = 1.0
    """What each tenant of this rule is entitled to, relative to its neighbours."""

    def __post_init__(self) -> None:
        """A rule has to name a tenant somehow."""
        patterns = (self.cgroup, *self.interfaces) if self.cgroup else self.interfaces
        require(
            any("{tenant}" in pattern for pattern in patterns),
            "cgroup",
            expected="a pattern with {tenant} in it, here or in interfaces",
            found=f'"{self.cgroup}"',
        )
        require(self.weight > 0, "weight", expected="a positive number", found=self.weight)


class Discovery(Settings):
    """What kinds of discovery need to be told."""

    parent_slices: tuple[str, ...] = ()
    """For "slices": every unit straight below one of these is a tenant."""
    containers_file: str = ""
    """For "docker": where a root service writes names and labels; empty knows ids alone."""
    not_tenants: tuple[str, ...] = ("kube-system", "kube-public", "kube-node-lease")
    """Names that discovery leaves to the host itself."""

    def __post_init__(self) -> None:
        """A slice is named as systemd names it, not by its folder."""
        for name in self.parent_slices:
            require(
                name.endswith(".slice") and "/" not in name and name != "-.slice",
                "parent_slices",
                expected='names of slices such as "customers.slice"',
                found=f'"{name}"',
            )


class LimiterLink(Settings):
    """The socket of the privileged limiter on this host."""

    socket: str = "/run/fairuse/limiter.sock"


class AgentSettings(Settings):
    """The whole of agent.toml."""

    controller: ControllerLink = ControllerLink()
    sampling: Sampling = Sampling()
    spool: Spool = Spool()
    host: Host = Host()
    limiter: LimiterLink = LimiterLink()
    discover: tuple[KindName, ...] = ("libvirt", "proxmox", "lxc", "nspawn")
    """The kinds of guests that are tenants without a rule, in the order in which they are asked.
    By itself only what is a customer's on nearly every host: whole machines. Docker, Kubernetes,
    slices and users hold the host's own services as often."""
    discovery: Discovery = Discovery()
    tenants: tuple[TenantRule, ...] = ()
    """Rules come before everything that is discovered."""
    weights: dict[str, float] = msgspec.field(default_factory=dict)
    """Weights of single tenants by name, over their rule's and over what is discovered."""

    def __post_init__(self) -> None:
        """Weights divide the host, so none may be zero or less."""
        require(
            "slices" not in self.discover or bool(self.discovery.parent_slices),
            "discovery.parent_slices",
            expected='at least one slice, since discover has "slices"',
            found="none",
        )
        for tenant, weight in self.weights.items():
            require(weight > 0, f"weights.{tenant}", expected="a positive number", found=weight)


def load_agent_settings(path: Path) -> AgentSettings:
    """Read agent.toml, or raise SettingsError."""
    return load_settings(path, AgentSettings)
