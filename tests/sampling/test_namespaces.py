"""Whose network namespace an interface leads into."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairuse_agent.sampling.namespaces import Namespaces
from fairuse_agent.sampling.netlink import RouteSocket
from fairuse_agent.sampling.round import Sampler
from fairuse_agent.settings import AgentSettings, Host, TenantRule
from fairuse_agent.tenancy.owner import DISCOVERED_RANK, Owner

_NOBODY = 65534


class ToldRoute(RouteSocket):
    """Namespaces of processes as the test says. That the kernel tells them is shown below."""

    def __init__(self, numbers: dict[int, int]) -> None:
        super().__init__()
        self.numbers = numbers
        self.asked: list[int] = []

    def process_namespace(self, pid: int) -> int | None:
        self.asked.append(pid)
        return self.numbers.get(pid)


class Containers:
    """A hierarchy in a folder, with processes in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.owners: dict[str, Owner] = {}
        self.route = ToldRoute({})
        self.namespaces = Namespaces(self.route, (root,))

    def add(self, name: str, *pids: int, below: str = "") -> None:
        self.owners[f"/{name}"] = Owner(name, 1, DISCOVERED_RANK, "lxc", "")
        folder = self.root / name / below
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))

    def look(self, leading: dict[int, int]) -> dict[int, str]:
        found = self.namespaces.owners(self.owners, leading)
        return {index: owner.tenant for index, (owner, _) in found.items()}


@pytest.fixture
def containers(tmp_path: Path) -> Containers:
    return Containers(tmp_path)


def test_an_interface_is_of_the_container_whose_processes_are_at_its_other_end(
    containers: Containers,
) -> None:
    containers.add("a", 101)
    containers.add("b", 201, 202)
    containers.route.numbers = {101: 0, 202: 4}
    assert containers.look({7: 4, 8: 0, 9: 5}) == {7: "b", 8: "a"}


def test_a_managers_process_beside_the_payload_is_no_hindrance(containers: Containers) -> None:
    containers.add("a", 100, below="supervisor")
    containers.add("a", 101, below="payload/init.scope")
    containers.route.numbers = {101: 3}
    assert containers.look({7: 3}) == {7: "a"}


def test_processes_that_come_after_their_veth_are_found_in_a_later_round(
    containers: Containers,
) -> None:
    containers.add("a")
    assert containers.look({7: 3}) == {}
    assert containers.namespaces.unsettled
    containers.add("a", 101)
    containers.route.numbers = {101: 3}
    assert containers.look({7: 3}) == {7: "a"}
    assert not containers.namespaces.unsettled


def test_a_veth_that_comes_long_after_its_container_is_found(containers: Containers) -> None:
    containers.add("a", 101)
    for _ in range(10):
        assert containers.look({7: 3}) == {}
    assert not containers.namespaces.unsettled
    containers.route.numbers = {101: 4}
    assert containers.look({7: 3, 8: 4}) == {8: "a"}


def test_interfaces_that_lead_nowhere_known_cost_nothing_after_some_rounds(
    containers: Containers,
) -> None:
    containers.add("a", 101)
    for _ in range(5):
        containers.look({7: 3})
    containers.route.asked.clear()
    containers.look({7: 3})
    assert containers.route.asked == []
    containers.add("b", 201)
    containers.look({7: 3})
    assert containers.route.asked == [201], "only the new container may be what it leads to"


def test_a_number_that_was_given_again_is_asked_again(containers: Containers) -> None:
    containers.add("a", 101)
    containers.route.numbers = {101: 3}
    assert containers.look({7: 3}) == {7: "a"}
    containers.add("b", 201)
    containers.route.numbers = {201: 3}
    assert containers.look({9: 3}) == {9: "b"}, "the new interface leads into a new namespace"


def test_a_container_that_went_owns_nothing(containers: Containers) -> None:
    containers.add("a", 101)
    containers.route.numbers = {101: 3}
    containers.look({7: 3})
    del containers.owners["/a"]
    assert containers.look({7: 3}) == {}


@pytest.fixture
def cgroup() -> Iterator[Path]:
    from fairuse_agent.sampling.hierarchy import find_hierarchies

    root = find_hierarchies(Path("/sys/fs/cgroup"), Path("/proc")).walked[0]
    path = root / f"fairuse-ns{secrets.token_hex(3)}"
    path.mkdir()
    for name in ("a", "b"):
        (path / name).mkdir()
    yield path
    for name in ("a", "b", ""):
        (path / name).rmdir()


class Inmate:
    """A process in a network namespace of its own and in a cgroup, with a veth to it."""

    def __init__(self, cgroup: Path) -> None:
        self.name = f"fun{secrets.token_hex(3)}"
        self._process = subprocess.Popen(["unshare", "--net", "sleep", "60"])
        pid = self._process.pid
        while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
            time.sleep(0.01)  # unshare(1) has not become what it starts yet.
        (cgroup / "cgroup.procs").write_text(str(pid))
        # The same name and so the same index at the other end, in every container.
        command = f"ip link add {self.name} type veth peer name eth0 netns {pid}"
        subprocess.run(command.split(), check=True)
        self.pid, self.index = pid, socket.if_nametoindex(self.name)

    def end(self) -> None:
        subprocess.run(["ip", "link", "del", self.name], check=True)
        self._process.kill()
        self._process.wait()


@pytest.mark.kernel
def test_an_unprivileged_user_learns_whose_each_containers_veth_is(cgroup: Path) -> None:
    inmates = [Inmate(cgroup / "a"), Inmate(cgroup / "b")]
    try:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgid(_NOBODY)
                os.setuid(_NOBODY)
                route = RouteSocket()
                numbers = [route.link_namespace(inmate.index) for inmate in inmates]
                processes = [route.process_namespace(inmate.pid) for inmate in inmates]
                fair = None not in numbers and numbers == processes and len(set(numbers)) == 2
                gone = route.process_namespace(2**22 + 1), route.link_namespace(2**30)
                own = route.process_namespace(os.getpid()), route.link_namespace(1)
                status = 0 if fair and gone == own == (None, None) else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        for inmate in inmates:
            inmate.end()


@pytest.mark.kernel
def test_a_containers_veth_needs_no_rule_whatever_its_name(cgroup: Path) -> None:
    rule = TenantRule(cgroup=f"/{cgroup.name}/{{tenant}}")
    sampler = Sampler(AgentSettings(host=Host(uplinks=("lo",)), tenants=(rule,), discover=()))
    inmates: list[Inmate] = []
    try:
        sampler.read()
        inmates = [Inmate(cgroup / "a"), Inmate(cgroup / "b")]
        sampler.read()
        assert {place.tenant: place.interfaces for place in sampler.places()} == {
            "a": (inmates[0].name,),
            "b": (inmates[1].name,),
        }
        inmates.pop(0).end()
        sampler.read()
        assert {place.tenant: place.interfaces for place in sampler.places()} == {
            "a": (),
            "b": (inmates[0].name,),
        }
    finally:
        sampler.close()
        for inmate in inmates:
            inmate.end()
