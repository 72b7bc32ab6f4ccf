"""The test host is what it says it is; every other test here rests on that."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.testhost.cache import REPOSITORY
from tests.testhost.host import BootFailedError, Host
from tests.testhost.image import Image
from tests.testhost.image import image as build_image
from tests.testhost.machine import Shape
from tests.testhost.remote import RemoteCommandFailedError

MODULES = ["sch_htb", "sch_tbf", "sch_ingress", "act_police", "act_mirred", "cls_matchall"]
MODULES += ["cls_u32", "ifb", "dm_mod", "dm_crypt", "raid1", "nft_socket"]


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
    before = host.read("/proc/sys/kernel/random/boot_id")
    host.reboot()
    assert host.read("/root/kept") == "kept"
    assert host.read("/proc/sys/kernel/random/boot_id") != before
    host.run("rm /root/kept")


@pytest.mark.parametrize("module", MODULES)
def test_the_kernel_has_what_limits_need(host: Host, module: str) -> None:
    host.run(f"modprobe {module}")


def test_libvirt_answers_and_knows_no_guest_yet(host: Host) -> None:
    assert host.run("virsh --connect qemu:///system list --all --name").stdout.strip() == ""


def test_the_programs_are_on_the_path_and_pystemd_speaks_to_systemd(host: Host) -> None:
    for program in ("fairuse", "fairuse-agent", "fairuse-limiter", "fairuse-controller"):
        host.run(f"{program} --help")
    spoken = host.python(
        "from pystemd.systemd1 import Manager\n"
        "with Manager() as manager:\n"
        "    print(manager.Manager.Version.decode())\n"
    )
    assert spoken.stdout.startswith("252")


def test_extra_disks_are_there_by_name_and_empty(host: Host) -> None:
    for number in range(3):
        disk = f"/dev/disk/by-id/virtio-extra{number}"
        assert host.run(f"blockdev --getsize64 {disk}").stdout == f"{1024**3}\n"
        assert host.run(f"blkid -p {disk}", check=False).returncode == 2


def test_files_come_and_go_unchanged(host: Host, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("one\ntwo æ")
    host.put(tmp_path / "here", "/root/some where/there")
    host.get("/root/some where/there", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "one\ntwo æ"
    host.run("rm -r '/root/some where'")


def test_a_command_that_fails_says_what_it_said(host: Host) -> None:
    with pytest.raises(RemoteCommandFailedError, match=r"ended with 3: .*\n.*\nno such tenant"):
        host.run("echo no such tenant >&2; exit 3")


def test_the_second_build_is_from_the_cache(image: Image) -> None:
    begun = time.monotonic()
    assert build_image() == image
    assert time.monotonic() - begun < 10


def test_hosts_of_one_network_reach_each_other_by_name_and_nothing_else(
    lan: Callable[..., list[Host]],
) -> None:
    one, two = lan(2)
    one.run("ping -c 1 -w 20 node2")
    two.run("ping -c 1 -w 20 node1")
    for address in (f"10.0.2.2 {one.ssh_port}", "192.0.2.1 80"):
        to = address.replace(" ", "/")
        assert one.run(f"timeout 3 bash -c '</dev/tcp/{to}'", check=False).returncode != 0


def test_a_machine_is_gone_when_it_is_stopped(image: Image) -> None:
    with Host(Shape(memory_mebibytes=256), image) as started:
        port = started.ssh_port
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_boot_that_fails_shows_the_console(image: Image, tmp_path: Path) -> None:
    for name in ("vmlinuz", "initrd.img", "host_key.pub"):
        (tmp_path / name).symlink_to(image.folder / name)
    (tmp_path / "disk.img").write_bytes(bytes(1024 * 1024))
    with (
        Host(Shape(), Image(tmp_path)) as broken,
        pytest.raises(BootFailedError, match=r"console ends with:\n(.|\n)*(panic|initramfs)"),
    ):
        broken.wait_until_up()


def test_a_machine_ends_with_the_process_that_started_it_even_if_that_is_killed() -> None:
    code = """
        import time
        from tests.testhost.qmp import Qemu
        machine = Qemu(["-machine", "none", "-display", "none"])
        print("started", flush=True)
        time.sleep(600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=REPOSITORY, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"started\n"
        (qemu,) = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        parent.kill()
    give_up = time.monotonic() + 10
    while _alive(int(qemu)):
        assert time.monotonic() < give_up
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    """Neither gone nor a zombie that nobody has collected yet."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
