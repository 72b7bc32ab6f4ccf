"""What every way of turning a knob promises, for the real kernel, for files and for the double."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairuse_agent.limiter.kernel.disks import real_disks
from fairuse_agent.limiter.kernel.host import HostKernel
from fairuse_agent.limiter.kernel.knobs import Gone, Kernel, Knob, Refused
from fairuse_agent.limiter.kernel.mounts import Mounts
from fairuse_agent.limiter.kernel.probe import IngressWay, Probed
from fairuse_protocol.limits import TenantPlace
from fairuse_protocol.messages import Resource
from tests.limiter.double import KernelDouble
from tests.limiter.place import cgroup, link, remove_group, run

TC = Probed(shaper=True, ingress=IngressWay(police=False, classifier="u32"))
AMOUNTS: dict[str, dict[str, float]] = {
    "cpu": {"cores": 0.5},
    "disk": {"read_bytes": 4e6, "write_bytes": 2e6, "read_operations": 300.0},
    "net-in": {"bytes": 625_000.0},
    "net-out": {"bytes": 625_000.0},
}


@dataclass
class Subject:
    """One knob of one kernel, and what others can do to it."""

    kernel: Kernel
    knob: Knob
    resource: Resource
    meddle: Callable[[], object]
    remove: Callable[[], object]

    @property
    def amounts(self) -> dict[str, float]:
        return AMOUNTS[self.resource]


def of_double(resource: Resource) -> Iterator[Subject]:
    kernel = KernelDouble("/alder", "tap-alder")
    place = TenantPlace(
        tenant="alder", weight=1, cgroups=("/alder",), interfaces=("tap-alder", "tap-not")
    )
    (knob,) = kernel.knobs(resource, place, ())
    other = {"cpu": {"quota": "20000"}, "net-in": {"root": "htb 1:"}, "net-out": {"qdisc": "x"}}

    def meddle() -> None:
        kernel.states[knob] = {**kernel.read(knob), **other[resource]}

    yield Subject(kernel, knob, resource, meddle, lambda: kernel.remove(knob.target))


def of_files(resource: Resource, tree: Path) -> Iterator[Subject]:
    """cgroup v2 as files, for hosts whose kernel has no v2 controllers."""
    group = tree / "alder"
    group.mkdir()
    device = next(iter(real_disks().values()))
    content = {
        "cpu.max": "max 100000\n",
        "cpu.max.burst": "0\n",
        "cpu.stat": "usage_usec 5000000\nuser_usec 1\n",
        "io.max": "",
        "io.stat": f"{device} rbytes=5 wbytes=6 rios=7 wios=8 dbytes=0 dios=0\n",
    }
    for name, text in content.items():
        (group / name).write_text(text)
    mounts = Mounts(v2=tree, v2_controllers=frozenset({"cpu", "io"}))
    kernel = HostKernel(mounts=mounts, probed=TC)
    place = TenantPlace(tenant="alder", weight=1, cgroups=("/alder", "/not-there"))
    (knob,) = kernel.knobs(resource, place, (next(iter(real_disks())),))
    name, text = {
        "cpu": ("cpu.max", "20000 100000"),
        "disk": ("io.max", f"{device} rbps=9 wbps=9 riops=9 wiops=9"),
    }[resource]
    yield Subject(
        kernel,
        knob,
        resource,
        lambda: (group / name).write_text(text),
        lambda: group.rename(tree / "gone"),
    )


def of_cgroup(resource: Resource) -> Iterator[Subject]:
    kernel = HostKernel(probed=TC)
    with cgroup() as path:
        place = TenantPlace(tenant="alder", weight=1, cgroups=(path, f"{path}-not-there"))
        (knob,) = kernel.knobs(resource, place, tuple(real_disks()))
        controller = "cpu" if resource == "cpu" else "blkio"
        group = Path(f"{kernel.mounts.v1[controller]}{path}")
        name, text = {
            "cpu": ("cpu.cfs_quota_us", "20000"),
            "disk": ("blkio.throttle.read_bps_device", f"{knob.device} 9000"),
        }[resource]
        yield Subject(
            kernel,
            knob,
            resource,
            lambda: (group / name).write_text(text),
            lambda: remove_group(group),
        )


def of_interface(resource: Resource) -> Iterator[Subject]:
    kernel = HostKernel(probed=TC)
    with link() as (_, interface):
        place = TenantPlace(tenant="alder", weight=1, interfaces=(interface, "fairuse-not"))
        (knob,) = kernel.knobs(resource, place, ())

        def meddle() -> None:
            if resource == "net-in":
                run(*f"tc qdisc replace dev {interface} root handle 7: htb".split())
            else:
                with contextlib.suppress(AssertionError):
                    run(*f"tc qdisc add dev {interface} ingress".split())
                run(
                    *f"tc filter add dev {interface} ingress pref 5 u32 match u32 0 0"
                    " action mirred egress redirect dev lo".split()
                )

        yield Subject(kernel, knob, resource, meddle, lambda: run("ip", "link", "del", interface))


REAL = pytest.mark.kernel


@pytest.fixture(
    params=[
        pytest.param(("double", "cpu"), id="double-cpu"),
        pytest.param(("double", "net-in"), id="double-shaper"),
        pytest.param(("double", "net-out"), id="double-ingress"),
        pytest.param(("files", "cpu"), id="v2-files-cpu"),
        pytest.param(("files", "disk"), id="v2-files-disk"),
        pytest.param(("cgroup", "cpu"), id="real-cgroup-cpu", marks=REAL),
        pytest.param(("cgroup", "disk"), id="real-cgroup-disk", marks=REAL),
        pytest.param(("interface", "net-in"), id="real-shaper", marks=REAL),
        pytest.param(("interface", "net-out"), id="real-ingress", marks=REAL),
    ]
)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    kind, resource = request.param
    if kind == "double":
        yield from of_double(resource)
    elif kind == "files":
        yield from of_files(resource, tmp_path)
    elif kind == "cgroup":
        if not HostKernel(probed=TC).mounts.v1:
            pytest.skip("this kernel lacks a cgroup v1 mount; v2 is tested on the demo's host")
        yield from of_cgroup(resource)
    else:
        yield from of_interface(resource)


def test_what_is_written_is_read_and_what_stood_before_comes_back(subject: Subject) -> None:
    kernel, knob = subject.kernel, subject.knob
    before = kernel.read(knob)
    first = kernel.fields(knob, subject.amounts, before)
    assert first != before
    assert first.keys() == before.keys()
    kernel.write(knob, first)
    assert kernel.read(knob) == first
    tripled = {stream: 3 * value for stream, value in subject.amounts.items()}
    second = kernel.fields(knob, tripled, before)
    assert second != first
    kernel.write(knob, second)
    assert kernel.read(knob) == second
    kernel.write(knob, before)
    assert kernel.read(knob) == before


def test_writing_the_same_twice_is_harmless(subject: Subject) -> None:
    kernel, knob = subject.kernel, subject.knob
    before = kernel.read(knob)
    wanted = kernel.fields(knob, subject.amounts, before)
    for fields in (wanted, wanted, before, before):
        kernel.write(knob, fields)
        assert kernel.read(knob) == fields


def test_what_somebody_else_put_there_is_seen_and_refused(subject: Subject) -> None:
    subject.meddle()
    found = subject.kernel.read(subject.knob)
    if subject.resource == "disk":
        kept = subject.kernel.fields(subject.knob, {"read_bytes": 9e8}, {**found, "rbps": "max"})
        assert kept["rbps"] == "900000000"
        amounts: dict[str, float] = {"read_bytes": 9e8}
    else:
        amounts = subject.amounts
    with pytest.raises(Refused) as refused:
        subject.kernel.fields(subject.knob, amounts, found)
    assert refused.value.promise == 3


def test_a_change_by_somebody_else_shows(subject: Subject) -> None:
    kernel, knob = subject.kernel, subject.knob
    before = kernel.read(knob)
    wanted = kernel.fields(knob, subject.amounts, before)
    kernel.write(knob, wanted)
    if subject.resource == "net-out" and not isinstance(kernel, KernelDouble):
        # A filter beside ours is not a change of ours: ours goes, theirs stays.
        subject.meddle()
        kernel.write(knob, before)
        assert kernel.read(knob) == {**before, "qdisc": "ingress", "filter": "somebody else's"}
        return
    subject.meddle()
    found = kernel.read(knob)
    assert found not in (before, wanted)


def test_a_target_that_went_is_gone_and_leaves_nothing_of_ours(subject: Subject) -> None:
    kernel, knob = subject.kernel, subject.knob
    before = kernel.read(knob)
    kernel.write(knob, kernel.fields(knob, subject.amounts, before))
    subject.remove()
    with pytest.raises(Gone):
        kernel.read(knob)
    with pytest.raises(Gone):
        kernel.write(knob, before)
    kernel.clean_up(knob)
    if subject.resource == "net-out" and isinstance(kernel, HostKernel):
        assert f"fairuse-{knob.identity:x}" not in run("ip", "-o", "link")


def test_counters_are_numbers_for_the_streams_of_the_resource(subject: Subject) -> None:
    counters = subject.kernel.measure(subject.knob)
    assert set(subject.amounts) <= set(counters)
    assert all(value >= 0 for value in counters.values())
