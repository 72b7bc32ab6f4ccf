"""limiter.toml: whom the limiter listens to and the bounds that no order can move."""

from __future__ import annotations

from pathlib import Path

from fairuse_agent.limiter.targets import Targets
from fairuse_protocol.settings import Settings, load_settings, require
from fairuse_protocol.units import Duration, Rate


class Floors(Settings):
    """No order goes under these, whatever fair share it names (promise 4, the last resort)."""

    cpu_cores: float = 0.1
    disk_bandwidth: Rate = Rate(1_000_000)
    disk_operations_per_second: float = 50.0
    net: Rate = Rate(125_000)

    def __post_init__(self) -> None:
        """A floor of nothing would be no floor."""
        require(self.cpu_cores > 0, "cpu_cores", expected="more than 0", found=self.cpu_cores)


class LimiterSettings(Settings):
    """The whole of limiter.toml."""

    socket: str = "/run/fairuse/limiter.sock"
    journal: str = "/var/lib/fairuse-limiter/journal"
    agent_users: tuple[str, ...] = ("fairuse-agent",)
    """Local users whose processes may speak to the socket; root always may."""
    max_lease: Duration = Duration(3600)
    """The longest that one order can hold anything, from when its proof begins."""
    max_suspension: Duration = Duration(600)
    """The longest that one order can keep a tenant frozen; 0s: no tenant ever is."""
    max_silence: Duration = Duration(300)
    """Everything is lifted when the controller was not heard of for this long (promise 2)."""
    max_limits: int = 20
    """At most this many limits stand at a time on this host (promise 8)."""
    proof: Duration = Duration(1)
    """For how long the limiter measures a tenant itself before it believes that it is over."""
    cgroups: tuple[str, ...] = ("**",)
    """Only groups that fit one of these are limited; `*` and `**` as in agent.toml."""
    interfaces: tuple[str, ...] = ("*",)
    """Only interfaces that fit one of these are limited."""
    floors: Floors = Floors()

    def __post_init__(self) -> None:
        """Bounds that would switch a promise off are refused."""
        require(
            1 <= self.max_lease <= 86400,
            "max_lease",
            expected="1s to 1d",
            found=str(self.max_lease),
        )
        require(
            0 <= self.max_suspension <= 3600,
            "max_suspension",
            expected="0s to 1h",
            found=str(self.max_suspension),
        )
        require(
            1 <= self.max_silence <= 3600,
            "max_silence",
            expected="1s to 1h",
            found=str(self.max_silence),
        )
        require(
            0 <= self.max_limits <= 1000,
            "max_limits",
            expected="0 to 1000",
            found=self.max_limits,
        )
        require(0.2 <= self.proof <= 30, "proof", expected="200ms to 30s", found=str(self.proof))
        for name, one in (("cgroups", "/lxc/*"), ("interfaces", "tap*")):
            found = getattr(self, name)
            try:
                Targets(**{name: found})
            except ValueError as error:
                what = f'patterns such as "{one}"'
                require(False, name, expected=what, found=f"{found}: {error}")


def load_limiter_settings(path: Path) -> LimiterSettings:
    """Read limiter.toml, or raise SettingsError."""
    return load_settings(path, LimiterSettings)
