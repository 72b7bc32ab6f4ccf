"""Units limited through a running systemd: the limiter's own tests run there, and a reboot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fairuse_protocol.limits import GetState, LimitOrder, SetLimits, TenantPlace
from fairuse_protocol.messages import Allowance
from tests.booted import lone_limiter
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
JOURNAL = "/var/lib/fairuse-test/journal"
STANDING = (
    f"systemctl show {UNIT} -p IOReadBandwidthMax,IOWriteBandwidthMax,IOReadIOPSMax,IOWriteIOPSMax;"
    f" cat /sys/fs/cgroup/system.slice/{UNIT}/io.max;"
    f" find /etc/systemd /run/systemd -path '*{UNIT}.d/*'"
)
ORDER = SetLimits(
    orders=(
        LimitOrder(
            order="o1",
            tenant="a",
            resource="disk",
            remaining_seconds=3600,
            allowance=Allowance(bytes_per_second=2e6),
            fair_share=Allowance(bytes_per_second=1e6, operations_per_second=100),
        ),
    ),
    places=(
        TenantPlace(tenant="a", weight=1, cgroups=(f"/system.slice/{UNIT}",)),
        TenantPlace(tenant="b", weight=20, cgroups=("/system.slice/ssh.service",)),
    ),
    disks=(DISK,),
    controller_heard_seconds_ago=0,
    capacity_disk=Allowance(bytes_per_second=2e6, operations_per_second=200),
)


@pytest.mark.timeout(3600, func_only=True)
def test_units_are_limited_and_restored(host: Host) -> None:
    host.pytest("-q tests/limiter/test_units.py", timeout_seconds=1500)


@pytest.fixture
def tenant(host: Host) -> Iterator[None]:
    """A unit that reads a disk as fast as it can, after a boot too."""
    host.write("/root/read.py", READ)
    host.write(f"/etc/systemd/system/{UNIT}", TENANT)
    host.run(f"systemctl daemon-reload; systemctl enable --now {UNIT}")
    try:
        yield
    finally:
        lone_limiter.remove(host)
        host.run(f"systemctl disable --now {UNIT}", check=False)
        host.run(f"rm -rf /etc/systemd/system/{UNIT} /root/read.py")
        host.run("rm -rf /var/lib/fairuse-test; systemctl daemon-reload")


def test_a_reboot_in_the_middle_of_a_disk_limit_leaves_nothing(host: Host, tenant: None) -> None:
    free = host.run(STANDING).stdout
    lone_limiter.start(host, journal=JOURNAL)
    lone_limiter.hold(host, ORDER)
    assert host.run(STANDING).stdout != free
    host.reboot()
    assert host.run(STANDING).stdout == free
    lone_limiter.start(host, journal=JOURNAL)
    (lifted,) = lone_limiter.ask(host, GetState())["lifted"]
    assert (lifted["order"], lifted["reason"]) == ("o1", "limiter-started")
    assert "rebooted" in lifted["detail"]
    assert host.run(STANDING).stdout == free
