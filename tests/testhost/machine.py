"""One virtual machine: booted from the image, its changes gone when it stops."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import accelerator
from .commands import tail
from .image import Image
from .qmp import Qemu

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
    """Runs from `start` to `stop`, and never longer than this process."""

    def __init__(self, image: Image, shape: Shape) -> None:
        self.accelerator = accelerator.choose(image.kernel)
        self._folder = Path(tempfile.mkdtemp(prefix="fairuse-test-host-"))
        try:
            self._qemu = Qemu(self._arguments(image, shape))
            self._qemu.command("cont")
            self.ssh_port = self._forwarded_port()
        except BaseException:
            shutil.rmtree(self._folder)
            raise

    def _arguments(self, image: Image, shape: Shape) -> list[str]:
        arguments = ["-name", shape.name, "-machine", "q35", *self.accelerator.arguments]
        arguments += ["-smp", str(shape.processors), "-m", str(shape.memory_mebibytes)]
        arguments += ["-nodefaults", "-display", "none", "-serial", f"file:{self._console}"]
        arguments += ["-device", "virtio-rng-pci"]
        arguments += ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append"]
        arguments += [f"{_KERNEL_COMMAND_LINE} systemd.hostname={shape.name}"]
        # snapshot=on: what the guest writes goes to a file that is gone with this process; it
        # outlives the guest's own reboots.
        drive = f"id=root,file={image.disk},format=raw,if=none,snapshot=on"
        arguments += ["-drive", drive, "-device", "virtio-blk-pci,drive=root,serial=root"]
        for number, mebibytes in enumerate(shape.extra_disks_mebibytes):
            disk = self._folder / f"extra{number}.img"
            with disk.open("wb") as empty:
                empty.truncate(mebibytes * 1024 * 1024)
            drive = f"id=extra{number},file={disk},format=raw,if=none,cache=unsafe"
            device = f"virtio-blk-pci,drive=extra{number},serial=extra{number}"
            arguments += ["-drive", drive, "-device", device]
        # restrict=on: from the guest, only the forwarded connections exist.
        arguments += ["-netdev", "user,id=uplink,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:0-:22"]
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
