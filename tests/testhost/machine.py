"""One virtual machine: booted from the image, its changes gone when it stops."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import accelerator
from .commands import run, tail
from .image import Image
from .qmp import Qemu, QemuEndedError

_KERNEL_COMMAND_LINE = "root=/dev/vda rw console=ttyS0 psi=1 quiet systemd.show_status=no"

_LAST_WORDS = ("Kernel panic", "(initramfs)", "You are in emergency mode")


@dataclass(frozen=True)
class Shape:
    """What the machine is made of."""

    name: str = "fairuse"
    processors: int = 2
    memory_mebibytes: int = 2048
    # Empty disks, beside the one it boots from: /dev/disk/by-id/virtio-extra0 and so on.
    extra_disks_mebibytes: Sequence[int] = ()
    # A further network card: its MAC address and qemu's `-netdev`, without the id.
    network: tuple[str, str] | None = None


class Machine:
    """Runs from its making to `stop`, and never longer than this process."""

    def __init__(self, image: Image, shape: Shape) -> None:
        self.accelerator = accelerator.choose(image.kernel)
        self._image, self._shape = image, shape
        self._folder = Path(tempfile.mkdtemp(prefix="fairuse-test-host-"))
        try:
            self._make_disks()
            self._qemu = Qemu(self._arguments(port=0))
            self.ssh_port = self._forwarded_port()
            self._qemu.command("cont")
        except BaseException:
            shutil.rmtree(self._folder)
            raise

    def start_again(self) -> None:
        """After the guest has asked for a reboot: the same disks and port in a new process.

        A qemu that emulates and resets itself in place comes up so slowly that its kernel sees
        lockups (qemu 7.2, two processors).
        """
        if not self._qemu.ended(self.accelerator.boot_seconds):
            raise QemuEndedError(f"the guest does not go down:\n{self.console()}")
        self._qemu.kill()
        self._qemu = Qemu(self._arguments(port=self.ssh_port))
        self._qemu.command("cont")

    def _make_disks(self) -> None:
        """What the guest writes lies over the image, which stays as it is."""
        overlay = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b"]
        run([*overlay, self._image.disk.resolve(), self._root], timeout_seconds=60)
        for number, mebibytes in enumerate(self._shape.extra_disks_mebibytes):
            with self._extra(number).open("wb") as empty:
                empty.truncate(mebibytes * 1024 * 1024)

    def _arguments(self, port: int) -> list[str]:
        image, shape = self._image, self._shape
        arguments = ["-name", shape.name, "-machine", "q35", *self.accelerator.arguments]
        arguments += ["-smp", str(shape.processors), "-m", str(shape.memory_mebibytes)]
        arguments += ["-nodefaults", "-display", "none", "-no-reboot", "-serial", "chardev:console"]
        arguments += ["-chardev", f"file,id=console,append=on,path={self._console}"]
        arguments += ["-device", "virtio-rng-pci"]
        arguments += ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append"]
        arguments += [f"{_KERNEL_COMMAND_LINE} systemd.hostname={shape.name}"]
        drive = f"id=root,file={self._root},format=qcow2,if=none,cache=unsafe"
        arguments += ["-drive", drive, "-device", "virtio-blk-pci,drive=root,serial=root"]
        for number in range(len(shape.extra_disks_mebibytes)):
            drive = f"id=extra{number},file={self._extra(number)},format=raw,if=none,cache=unsafe"
            device = f"virtio-blk-pci,drive=extra{number},serial=extra{number}"
            arguments += ["-drive", drive, "-device", device]
        # restrict=on: from the guest, only the forwarded connections exist.
        forward = f"hostfwd=tcp:127.0.0.1:{port}-:22"
        arguments += ["-netdev", f"user,id=uplink,restrict=on,ipv6=off,{forward}"]
        arguments += ["-device", "virtio-net-pci,netdev=uplink,mac=52:54:00:fa:00:01"]
        if shape.network:
            mac, netdev = shape.network
            arguments += ["-netdev", f"{netdev},id=lan"]
            arguments += ["-device", f"virtio-net-pci,netdev=lan,mac={mac}"]
        return arguments

    def _forwarded_port(self) -> int:
        """Chosen by the kernel, so that machines of several runs do not meet."""
        shown = self._qemu.monitor("info usernet")
        found = re.search(r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", shown)
        assert found, f"expected a forwarded port in qemu's answer, found: {shown}"
        return int(found[1])

    @property
    def _root(self) -> Path:
        return self._folder / "root.qcow2"

    def _extra(self, number: int) -> Path:
        return self._folder / f"extra{number}.img"

    @property
    def _console(self) -> Path:
        return self._folder / "console.log"

    def gave_up(self) -> bool:
        """Whether waiting is in vain: qemu ended, or the guest's boot did."""
        said = self.console()
        return not self._qemu.running() or any(last in said for last in _LAST_WORDS)

    def console(self) -> str:
        """The end of what the guest said on its serial console, for a person to read."""
        try:
            return tail(self._console.read_bytes())
        except FileNotFoundError:
            return "(nothing)"

    def stop(self) -> None:
        """Pull the plug: nothing that it holds is kept."""
        self._qemu.kill()
        shutil.rmtree(self._folder)
