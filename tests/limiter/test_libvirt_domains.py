"""Domains that libvirt owns: what is asked of it, what stays its owner's, and when it is away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairuse_agent.limiter.kernel.host import HostKernel
from fairuse_agent.limiter.kernel.knobs import Gone, KernelError, Knob, Refused
from fairuse_agent.limiter.kernel.libvirt_calls import domain_id
from fairuse_agent.limiter.kernel.libvirt_cpu import VCPUS_PART, cores_for_each
from fairuse_agent.limiter.kernel.mounts import Mounts
from fairuse_agent.limiter.kernel.patience import Patience
from fairuse_protocol.limits import TenantPlace
from tests.limiter.libvirt_double import DomainDouble, LibvirtDouble, libvirt_of
from tests.limiter.test_kernel_contract import TC

SCOPE = "/machine.slice/machine-qemu\\x2d7\\x2dalder.scope"
PLACE = TenantPlace(tenant="alder", weight=1, cgroups=(SCOPE,))


class Place:
    """A cgroup2 tree with one domain's scope, and the kernel over it."""

    def __init__(self, tree: Path, *, vcpus: int = 2) -> None:
        self.tree = tree
        self.scope = tree / SCOPE.strip("/")
        self.scope.mkdir(parents=True)
        self.use(0.0)
        self.domain = DomainDouble(7, vcpus)
        self.library = LibvirtDouble(self.domain)
        mounts = Mounts(v2=tree, v2_controllers=frozenset({"cpu", "io"}))
        self.kernel = HostKernel(mounts, TC, libvirt=libvirt_of(self.library, tree))

    def use(self, seconds: float) -> None:
        (self.scope / "cpu.stat").write_text(f"usage_usec {int(seconds * 1e6)}\n")

    def knob(self, resource: str = "cpu") -> Knob:
        return self.kernel.knobs(resource, PLACE, ())[0]  # type: ignore[arg-type]  # one of its words


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("cgroup", "number"),
    [
        (SCOPE, 7),
        ("/machine.slice/machine-qemu\\x2d12\\x2da\\x2db.c.scope", 12),
        (f"{SCOPE}/libvirt/vcpu0", None),
        ("/machine.slice/machine-lxc\\x2d7\\x2dalder.scope", None),
        ("/machine.slice/systemd-nspawn@alder.service", None),
    ],
)
def test_a_domains_scope_is_known_by_its_name(cgroup: str, number: int | None) -> None:
    assert domain_id(cgroup) == number


def test_virtual_cpus_together_get_the_order_in_equal_parts_while_nothing_is_known(
    place: Place,
) -> None:
    knob = place.knob()
    before = place.kernel.read(knob)
    assert before == {"vcpu_quota": "max", "vcpu_period": "100000"}
    wanted = place.kernel.fields(knob, {"cores": 0.5}, before)
    assert wanted == {"vcpu_quota": "25000", "vcpu_period": "100000"}
    place.kernel.write(knob, wanted)
    assert place.kernel.read(knob) == wanted
    place.kernel.write(knob, before)
    assert place.kernel.read(knob) == before
    assert place.domain.flags == {1}, "only ever what runs now (VIR_DOMAIN_AFFECT_LIVE)"


def test_one_busy_virtual_cpu_gets_the_whole_order_and_a_change_is_seen(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    knob, clock = place.knob(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    before = place.kernel.read(knob)
    place.kernel.measure(knob)
    clock[0] += 10
    place.domain.vcpu_seconds = [9.0, 0.0]
    place.use(10.0)
    place.kernel.measure(knob)
    wanted = place.kernel.fields(knob, {"cores": 0.5}, before)
    assert wanted["vcpu_quota"] == "40000", "0.5 less the 0.1 that the emulator uses"
    clock[0] += 10
    place.domain.vcpu_seconds = [18.1, 0.0]
    place.use(20.0)
    place.kernel.measure(knob)
    assert place.kernel.fields(knob, {"cores": 0.5}, before) == wanted, "much as it was"
    clock[0] += 10
    place.domain.vcpu_seconds = [22.1, 4.0]
    place.use(29.0)
    place.kernel.measure(knob)
    assert place.kernel.fields(knob, {"cores": 0.5}, before)["vcpu_quota"] == "20000"


@settings(deadline=None)
@given(
    order=st.floats(0.1, 64),
    demand=st.lists(st.floats(0.01, 1), min_size=1, max_size=32),
    other=st.floats(0, 4),
)
def test_virtual_cpus_come_to_what_the_order_leaves_them(
    order: float, demand: list[float], other: float
) -> None:
    part = max(order - other, VCPUS_PART * order)
    each = 1.0
    for _ in range(100):
        used = [min(want, each) for want in demand]
        each = cores_for_each(order, used, other)
    used = [min(want, each) for want in demand]
    if sum(demand) <= part:
        assert used == pytest.approx(demand)
    else:
        assert sum(used) == pytest.approx(part, rel=0.02)


def test_a_quota_under_the_kernels_least_is_given_in_a_longer_period(tmp_path: Path) -> None:
    place = Place(tmp_path, vcpus=64)
    knob = place.knob()
    before = place.kernel.read(knob)
    wanted = place.kernel.fields(knob, {"cores": 0.1}, before)
    assert wanted == {"vcpu_quota": "1562", "vcpu_period": "1000000"}
    place.kernel.write(knob, wanted)
    place.kernel.write(knob, before)
    assert place.kernel.read(knob) == before


def test_an_owners_quota_stays_where_it_is_tighter_and_comes_back_where_it_is_not(
    place: Place,
) -> None:
    place.domain.scheduler |= {"vcpu_quota": 20_000, "vcpu_period": 50_000}
    knob = place.knob()
    before = place.kernel.read(knob)
    with pytest.raises(Refused) as refused:
        place.kernel.fields(knob, {"cores": 0.8}, before)
    assert refused.value.promise == 3
    wanted = place.kernel.fields(knob, {"cores": 0.5}, before)
    assert wanted == {"vcpu_quota": "12500", "vcpu_period": "50000"}
    place.kernel.write(knob, wanted)
    place.kernel.write(knob, before)
    assert place.domain.scheduler["vcpu_quota"] == 20_000


def test_a_disk_is_held_by_one_limit_for_reads_and_writes_and_bursts_come_back(
    place: Place,
) -> None:
    owners = {"total_iops_sec": 900, "total_iops_sec_max": 2000, "total_iops_sec_max_length": 9}
    place.domain.tunes["vda"] = dict(owners)
    knobs = place.kernel.knobs("disk", PLACE, ())
    assert [knob.device for knob in knobs] == ["vda", "vdb"], "a CD-ROM is not limited"
    before = place.kernel.read(knobs[0])
    amounts = {"bytes": 4e6, "operations": 300.0}
    wanted = place.kernel.fields(knobs[0], amounts, before)
    place.kernel.write(knobs[0], wanted)
    tune = place.domain.tunes["vda"]
    assert (tune["total_bytes_sec"], tune["total_iops_sec"]) == (4_000_000, 300)
    assert tune["total_iops_sec_max"] == 0
    place.kernel.write(knobs[0], before)
    assert place.kernel.read(knobs[0]) == before
    assert {name: tune[name] for name in owners} == owners


def test_a_disk_limit_that_would_undo_an_owners_is_refused(place: Place) -> None:
    place.domain.tunes["vda"] = {"read_bytes_sec": 1_000_000}
    knob = place.knob("disk")
    before = place.kernel.read(knob)
    with pytest.raises(Refused, match="read_bytes_sec 1000000") as refused:
        place.kernel.fields(knob, {"bytes": 4e6}, before)
    assert refused.value.promise == 3
    assert place.kernel.fields(knob, {"bytes": 5e5}, before)["total_bytes_sec"] == "500000"


def test_disks_that_share_a_throttle_are_their_owners(place: Place) -> None:
    place.domain.shared_group = "gold"
    with pytest.raises(Refused, match="throttle group gold"):
        place.kernel.knobs("disk", PLACE, ())


def test_disk_use_is_what_qemu_counts(place: Place) -> None:
    place.domain.stats["vda"] = (3, 4096, 2, 512, -1)
    assert place.kernel.measure(place.knob("disk")) == {"bytes": 4608.0, "operations": 5.0}


def test_a_domain_that_ended_is_gone(place: Place) -> None:
    knob = place.knob()
    del place.library.domains[7]
    with pytest.raises(Gone):
        place.kernel.read(knob)


def test_a_later_domain_with_the_same_id_and_name_is_another(place: Place) -> None:
    knob = place.knob()
    place.scope.rename(place.tree / "gone")
    place.scope.mkdir()
    with pytest.raises(Gone, match="another domain's scope has its name"):
        place.kernel.read(knob)
    assert place.knob() != knob


def test_while_libvirtd_is_away_the_disks_are_known_as_last_seen(place: Place) -> None:
    seen = place.kernel.knobs("disk", PLACE, ())
    place.library.away = True
    assert place.kernel.knobs("disk", PLACE, ()) == seen
    with pytest.raises(KernelError, match="Failed to connect socket"):
        place.kernel.read(seen[0])
    place.library.away = False
    assert place.kernel.read(seen[0])


def test_a_domain_without_libvirt_is_limited_by_its_scope(place: Place, tmp_path: Path) -> None:
    mounts = place.kernel.mounts
    kernel = HostKernel(mounts, TC, libvirt=libvirt_of(place.library, tmp_path / "no-socket"))
    (knob,) = kernel.knobs("cpu", PLACE, ())
    assert knob.kind in ("cpu-v2", "unit-cpu")


def test_a_call_that_hangs_costs_a_bounded_time_and_nobody_else_anything() -> None:
    patience = Patience("libvirtd", 0.2, 0.1)
    library = LibvirtDouble(DomainDouble(1), DomainDouble(2))
    library.hang = lambda number: number == 1
    started = time.monotonic()
    with pytest.raises(KernelError, match=r"did not answer within 0\.2 s"):
        patience.call("one", lambda: library.lookupByID(1))
    assert patience.call("two", lambda: library.lookupByID(2).number) == 2
    with pytest.raises(KernelError, match="has not answered the last call yet"):
        patience.call("one", lambda: library.lookupByID(1))
    assert time.monotonic() - started < 5
    library.released.set()
    library.hang = lambda number: False
    for _ in range(100):
        try:
            assert patience.call("one", lambda: library.lookupByID(1).number) == 1
            break
        except KernelError:
            time.sleep(0.02)
    else:
        pytest.fail("it answers again, and is still not asked")


def test_an_error_of_the_call_is_raised_to_whoever_asked() -> None:
    with pytest.raises(ZeroDivisionError):
        Patience("libvirtd").call("one", lambda: 1 // 0)
