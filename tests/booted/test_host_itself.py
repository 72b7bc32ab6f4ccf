"""The test host is what it says it is; every other test here rests on that."""

from __future__ import annotations

from tests.testhost.host import Host


def test_cgroups_are_unified_with_cpu_io_and_memory(host: Host) -> None:
    assert host.run("stat -f -c %T /sys/fs/cgroup").stdout == "cgroup2fs\n"
    controllers = host.read("/sys/fs/cgroup/cgroup.controllers").split()
    assert {"cpu", "io", "memory"} <= set(controllers)


def test_pressure_is_measured_for_the_host_and_for_every_cgroup(host: Host) -> None:
    for resource in ("cpu", "io", "memory"):
        assert host.read(f"/proc/pressure/{resource}").startswith("some avg10=")
        group = host.read(f"/sys/fs/cgroup/system.slice/{resource}.pressure")
        assert group.startswith("some avg10=")


def test_systemd_runs_and_nothing_has_failed(host: Host) -> None:
    assert host.run("systemctl --failed --no-legend --plain").stdout == ""
    assert host.run("systemctl is-system-running").stdout == "running\n"


def test_a_reboot_keeps_the_disk_and_its_files(host: Host) -> None:
    host.write("/root/kept", "kept")
    host.reboot()
    assert host.read("/root/kept") == "kept"
    host.run("rm /root/kept")
