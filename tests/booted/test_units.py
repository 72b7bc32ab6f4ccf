"""Units limited through a running systemd: the limiter's own tests run there, and a reboot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.limiter.units import READ
from tests.testhost.host import Host

UNIT = "fairuse-test-tenant.service"
DISK = "/dev/disk/by-id/virtio-extra0"
TENANT = f"""
[Service]
ExecStart=python3 /root/read.py {DISK}
IOAccounting=yes
[Install]
WantedBy=multi-user.target
"""
LIMITER = """
socket = "/run/fairuse-test/socket"
journal = "/var/lib/fairuse-test/journal"
agent_users = []
"""
START = (
    "mkdir -p /run/fairuse-test && systemd-run --unit fairuse-test-limiter"
    " --property=Type=exec fairuse-limiter run --config /root/limiter.toml;"
    " for i in $(seq 300); do [ -S /run/fairuse-test/socket ] && break; sleep 0.1; done"
)
STANDING = (
    f"systemctl show {UNIT} -p IOReadBandwidthMax,IOWriteBandwidthMax,IOReadIOPSMax,IOWriteIOPSMax;"
    f" cat /sys/fs/cgroup/system.slice/{UNIT}/io.max;"
    f" find /etc/systemd /run/systemd -path '*{UNIT}.d/*'"
)
ASK = """
import socket, sys
from fairuse_protocol.limits import LimitOrder, SetLimits, GetState, TenantPlace, encode_line
from fairuse_protocol.messages import Allowance
fair = Allowance(bytes_per_second=1e6, operations_per_second=100)
order = LimitOrder(order="o1", tenant="a", resource="disk", remaining_seconds=3600,
    allowance=Allowance(bytes_per_second=2e6), fair_share=fair)
places = (TenantPlace(tenant="a", weight=1, cgroups=("/system.slice/UNIT",)),
    TenantPlace(tenant="b", weight=20, cgroups=("/system.slice/ssh.service",)))
request = SetLimits(orders=(order,), places=places, disks=("DISK",),
    controller_heard_seconds_ago=0,
    capacity_disk=Allowance(bytes_per_second=2e6, operations_per_second=200))
with socket.socket(socket.AF_UNIX) as link:
    link.settimeout(60)
    link.connect("/run/fairuse-test/socket")
    link.sendall(encode_line(request if sys.argv[1] == "order" else GetState()))
    print(link.makefile().readline())
""".replace("UNIT", UNIT).replace("DISK", DISK)


@pytest.mark.timeout(3600, func_only=True)
def test_units_are_limited_and_restored(host: Host) -> None:
    host.pytest("-q tests/limiter/test_units.py", timeout_seconds=1500)


@pytest.fixture
def tenant(host: Host) -> Iterator[None]:
    """A unit that reads a disk as fast as it can, after a boot too."""
    host.write("/root/read.py", READ)
    host.write("/root/limiter.toml", LIMITER)
    host.write(f"/etc/systemd/system/{UNIT}", TENANT)
    host.run(f"systemctl daemon-reload; systemctl enable --now {UNIT}")
    try:
        yield
    finally:
        host.run("systemctl stop fairuse-test-limiter", check=False)
        host.run(f"systemctl disable --now {UNIT}", check=False)
        host.run(f"rm -rf /etc/systemd/system/{UNIT} /root/read.py /root/limiter.toml")
        host.run("rm -rf /var/lib/fairuse-test; systemctl daemon-reload")


def test_a_reboot_in_the_middle_of_a_disk_limit_leaves_nothing(host: Host, tenant: None) -> None:
    free = host.run(STANDING).stdout
    host.run(START)
    for _ in range(20):
        told = ask(host, "order")
        if told.get("held"):
            break
        host.run("sleep 1")
    assert told.get("held"), told.get("refused")
    assert host.run(STANDING).stdout != free
    host.reboot()
    assert host.run(STANDING).stdout == free
    host.run(START)
    (lifted,) = ask(host, "state")["lifted"]
    assert (lifted["order"], lifted["reason"]) == ("o1", "limiter-started")
    assert "rebooted" in lifted["detail"]
    assert host.run(STANDING).stdout == free


def ask(host: Host, what: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(host.python(ASK, what).stdout)
    return told
