"""What systemd and the kernel say of how tightly the programs' units are shut in."""

from __future__ import annotations

from tests.testhost.host import Host

MOST_EXPOSED = {"agent": 2.0, "limiter": 4.0, "controller": 2.0}
"""The worst score that each may have, of 10."""
_CAP_NET_BIND_SERVICE = 1 << 10
ALLOWED_CAPABILITIES = {"agent": 0, "controller": _CAP_NET_BIND_SERVICE}
_DENIALS = ("Operation not permitted", "Permission denied", "Read-only file system")


def score(host: Host, program: str) -> float:
    """The exposure by `systemd-analyze security`."""
    unit = f"fairuse-{program}.service"
    told = host.run(f"systemd-analyze security --no-pager {unit}").stdout
    return float(told.rsplit("exposure level for", 1)[1].split(":")[1].split()[0])


def assert_unprivileged(host: Host, program: str) -> None:
    """It runs as its own user, can do no more than it may, and can gain nothing."""
    process = host.run(f"systemctl show -p MainPID --value fairuse-{program}").stdout.strip()
    status = host.read(f"/proc/{process}/status")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    user = int(host.run(f"id -u fairuse-{program}").stdout)
    assert set(fields["Uid"].split()) == {str(user)} != {"0"}
    allowed = ALLOWED_CAPABILITIES[program]
    assert int(fields["CapEff"], 16) | allowed == allowed
    assert fields["NoNewPrivs"].strip() == "1"


def denials(host: Host) -> list[str]:
    """Lines of the programs' logs that a sandbox which is too tight would cause."""
    told = host.run("journalctl --no-pager -o cat -u 'fairuse-*'").stdout
    return [line for line in told.splitlines() if any(word in line for word in _DENIALS)]
