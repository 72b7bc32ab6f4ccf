"""`python -m tests.testhost shell`: a shell on a fresh test host."""

from __future__ import annotations

import sys

from . import needs
from .commands import CommandFailedError
from .host import BootFailedError, Host
from .machine import Shape


def main() -> int:
    """Boot one, hand its shell to the terminal, and throw it away."""
    if sys.argv[1:] != ["shell"]:
        print("usage: python -m tests.testhost shell", file=sys.stderr)
        return 2
    try:
        needs.check()
        print("building, booting and installing Fairuse; the first time takes minutes")
        with Host(Shape(extra_disks_mebibytes=(1024, 1024))) as host:
            host.wait_until_up()
            host.install()
            print("Fairuse's programs are on the PATH. Leave with exit or Ctrl-D.")
            print("Nothing in this machine is kept.")
            host.shell()
    except (needs.CannotRunError, CommandFailedError, BootFailedError) as failed:
        print(f"host-shell: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


sys.exit(main())
