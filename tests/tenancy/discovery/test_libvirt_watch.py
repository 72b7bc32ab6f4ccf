"""The real libvirt library: its own test driver, which runs in this process, and no answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairuse_agent.tenancy.discovery import libvirt_watch
from fairuse_agent.tenancy.discovery.libvirt_watch import LibvirtWatch
from tests.tenancy.discovery.domains import PROJECT, domain_xml, nova

libvirt = pytest.importorskip("libvirt", reason='needs libvirt-python, the extra "libvirt"')


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Events come from another thread: wait for them, not for a time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so within {seconds:g} s"
        time.sleep(0.01)


@pytest.fixture
def watch() -> Iterator[LibvirtWatch]:
    watch = LibvirtWatch("test:///default")
    yield watch
    watch.close()


def names(watch: LibvirtWatch) -> set[str]:
    return {domain.name for domain in watch.domains.values()}


def test_domains_are_listed_at_once_and_followed_by_events(watch: LibvirtWatch) -> None:
    watch.start(20)
    assert watch.answered
    assert not watch.trouble()
    assert names(watch) == {"test"}
    # The test driver's default host is one in the whole process.
    operator = libvirt.open("test:///default")
    xml = domain_xml(
        "fairuse-noisy",
        uuid="aa0e1b3c-0000-4000-8000-000000000001",
        metadata=nova(),
        kind="test",
        number=None,
    ).replace('<interface type="hostdev" managed="yes">', '<interface type="user">')
    guest = operator.createXML(xml)
    try:
        until(lambda: names(watch) == {"test", "fairuse-noisy"})
        found = watch.domains[guest.ID()]
        assert (found.project, found.vcpus) == (PROJECT, 2)
    finally:
        guest.destroy()
        operator.close()
    until(lambda: names(watch) == {"test"})


def test_a_daemon_that_hangs_is_told_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt_watch, "_SILENT_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "libvirt"))
        silent.listen()
        watch = LibvirtWatch(f"qemu+unix:///system?socket={tmp_path}/libvirt")
        watch.start(0.01)
        until(lambda: "has not answered for" in watch.trouble())
        assert not watch.answered
        caller, _ = silent.accept()
    caller.close()
    watch.close(20)
    assert "libvirt does not answer" in watch.trouble()


def test_an_absent_daemon_is_told_by_its_socket(tmp_path: Path) -> None:
    watch = LibvirtWatch(f"qemu+unix:///system?socket={tmp_path}/absent")
    watch.start(20)
    watch.close()
    assert f"{tmp_path}/absent" in watch.trouble()
    assert not watch.answered
