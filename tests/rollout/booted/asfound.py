"""What a host consists of, to be compared: its files and its units."""

from __future__ import annotations

from tests.testhost.host import Host

_PLACES = "/etc /opt /usr /var /root /home /srv /boot"
# What lives by itself on any host, or is a package manager's or an account's own backup.
_ALIVE = (
    "/var/log",
    "/var/cache",
    "/var/lib/systemd",
    "/var/lib/postfix",
    "/var/mail",
    "/var/spool",
    "/root/.ansible",
    "/etc/passwd-",
    "/etc/shadow-",
    "/etc/group-",
    "/etc/gshadow-",
)
# Names, kinds, owners, rights; of files the sizes, of links the targets.
_LISTED = (
    f"find {_PLACES} -xdev -type f -printf '%p %m %U %G %s\\n'"
    " -o -type l -printf '%p -> %l\\n' -o -type d -printf '%p/ %m %U %G\\n'"
)
_CONTENTS = "find /etc -xdev -type f -exec sha256sum {} + | awk '{print $2, $1}'"
# A transient unit is somebody's who is logged in. Emulated hosts that boot side by side take longer
# to answer than the 25 s that systemctl waits.
_UNIT_FILES = (
    "SYSTEMD_BUS_TIMEOUT=100 systemctl list-unit-files --no-legend --plain | grep -v ' transient '"
)
_TRACES = (
    "systemctl list-units --all --no-legend --plain 'fairuse*';"
    # udev's links name the test host's own disk.
    " find /run /tmp -path /run/udev -prune -o -name '*fairuse*' -print; pgrep -a fairuse || true"
)


def files(host: Host) -> set[str]:
    """A line for each file, and one more for what it holds where that is configuration."""
    told = host.run(f"{_LISTED}; {_CONTENTS}", timeout_seconds=100).stdout
    return {line for line in told.splitlines() if not line.startswith(_ALIVE)}


def units(host: Host) -> set[str]:
    """A line for each unit that systemd has a file of, with whether it is enabled."""
    return set(host.run(_UNIT_FILES).stdout.splitlines())


def traces(host: Host) -> str:
    """What still runs of Fairuse or lies in memory, in no order."""
    return host.run(_TRACES).stdout
