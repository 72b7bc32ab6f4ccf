"""Tenants without an interface, on the real kernel: what stands, whose it is, and how it goes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fairuse_agent.limiter.journal import Journal
from fairuse_agent.limiter.keeper import Keeper
from fairuse_agent.limiter.kernel import netlink, nft
from fairuse_agent.limiter.kernel.host import HostKernel
from fairuse_agent.limiter.kernel.knobs import Gone, Knob, Refused
from fairuse_agent.limiter.kernel.mounts import read_mounts
from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_protocol.limits import LimitOrder, SetLimits, TenantPlace
from fairuse_protocol.messages import Allowance, Resource
from tests.limiter.double import PowerCut, SetClock, Steps
from tests.limiter.place import cgroup, remove_group
from tests.limiter.test_kernel_contract import TC
from tests.limiter.uplink import UPLINK, Uplink, targets, uplink

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not nft.available(), reason="this machine lacks the program nft"),
    pytest.mark.skipif(read_mounts().v2 is None, reason="this kernel has no cgroup2 hierarchy"),
]
RATES = [125_000, 12_500_000, 7_500_000_000]
"""1 and 100 Mbit/s, and 60 Gbit/s, which 32 bits do not hold."""
TBF = ("tbf", "rate", "1gbit", "burst", "1mb", "latency", "50ms")
WAYS: list[Resource] = ["net-in", "net-out"]


class Host:
    """The kernel of a namespace, and what a test asks of it."""

    def __init__(self, on: Uplink, directory: Path) -> None:
        self.on = on
        self.directory = directory

    def kernel(self, interfaces: tuple[str, ...] = ("*",)) -> HostKernel:
        return HostKernel(probed=TC, targets=targets(self.directory, interfaces))

    def knob(self, resource: Resource, path: str) -> Knob:
        (knob,) = self.on.inside(lambda: self.kernel().knobs(resource, place(path), ()))
        return knob

    def put_up(self, knob: Knob, rate: float) -> dict[str, str]:
        """Hold the knob to a rate; how it stood before."""

        def work() -> dict[str, str]:
            kernel = self.kernel()
            before = kernel.read(knob)
            wanted = kernel.fields(knob, {"bytes": rate}, before)
            kernel.write(knob, wanted)
            assert kernel.read(knob) == wanted
            return before

        return self.on.inside(work)

    def put_back(self, knob: Knob, before: dict[str, str]) -> None:
        def work() -> None:
            kernel = self.kernel()
            kernel.write(knob, before)
            assert kernel.read(knob) == before

        self.on.inside(work)


def place(path: str, tenant: str = "alder") -> TenantPlace:
    return TenantPlace(tenant=tenant, weight=1, cgroups=(path,))


def classes(on: Uplink) -> dict[str, int]:
    """Bytes per second by class, as tc tells them."""
    shown = on.run("tc", "class", "show", "dev", UPLINK)
    found = re.findall(r"class htb (\S+) root .*?rate (\d+)([KMG]?)bit", shown)
    units = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
    return {name: int(figure) * units[unit] // 8 for name, figure, unit in found}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with uplink() as made:
        yield Host(made, tmp_path)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("resource", WAYS)
def test_the_kernels_own_programs_read_the_rate_and_then_nothing(
    host: Host, resource: Resource, rate: int
) -> None:
    before = host.on.listing()
    with cgroup() as path:
        knob = host.knob(resource, path)
        stood = host.put_up(knob, rate)
        rules = host.on.run("nft", "list", "ruleset")
        assert f'{path.lstrip("/")}"' in rules
        if resource == "net-out":
            ((name, told),) = classes(host.on).items()
            assert told == rate
            assert f"meta priority set {name}" in rules
        else:
            told = json.loads(host.on.run("nft", "-j", "list", "ruleset"))["nftables"]
            (rule,) = [each["rule"] for each in told if "rule" in each]
            (limit,) = [each["limit"] for each in rule["expr"] if "limit" in each]
            assert limit["rate"] == rate
        host.put_back(knob, stood)
    assert host.on.listing() == before


def test_a_change_of_rate_keeps_the_count(host: Host) -> None:
    with cgroup() as path:
        knob = host.knob("net-in", path)
        host.put_up(knob, 1e6)
        table = f"fairuse-in-{knob.identity:x}-{UPLINK}"
        counted = "counter moved { packets 3 bytes 4500 }"
        host.on.run("nft", f"flush chain inet {table} input; delete counter inet {table} moved")
        host.on.run(
            "nft", f"add counter inet {table} moved {counted.removeprefix('counter moved')}"
        )
        kernel = host.kernel()
        host.on.inside(lambda: kernel.write(knob, {"policer": "police 2000000"}))
        assert host.on.inside(lambda: kernel.measure(knob)) == {"bytes": 4500.0}
        assert host.on.inside(lambda: kernel.read(knob)) == {"policer": "police 2000000"}


@pytest.mark.parametrize("queues", [1, 4])
def test_two_limits_share_the_uplink_and_the_last_one_brings_its_root_back(
    tmp_path: Path, queues: int
) -> None:
    with uplink(queues) as made, cgroup() as one, cgroup() as other:
        made.run("ip", "link", "set", UPLINK, "txqueuelen", "700")
        host, before = Host(made, tmp_path), made.listing()
        knobs = [host.knob("net-out", path) for path in (one, other)]
        stood = [host.put_up(knob, rate) for knob, rate in zip(knobs, (1e6, 2e6), strict=True)]
        assert stood[0] == stood[1], "the second does not take our root for somebody's"
        host.put_back(knobs[0], stood[0])
        assert list(classes(made).values()) == [2_000_000]
        host.put_back(knobs[1], stood[1])
        assert made.listing() == before


def test_an_owners_qdisc_on_the_uplink_is_refused(host: Host) -> None:
    host.on.run("tc", "qdisc", "add", "dev", UPLINK, "root", "handle", "1:", *TBF)
    before = host.on.listing()
    with cgroup() as path:
        knob = host.knob("net-out", path)
        with pytest.raises(Refused, match="tbf 1:") as refused:
            host.put_up(knob, 1e6)
        assert refused.value.promise == 3
        host.put_up(host.knob("net-in", path), 1e6)
        host.on.inside(lambda: host.kernel().measure_only(()))
    assert host.on.listing() == before, "what nothing accounts for is swept"


def test_an_uplink_without_a_queue_length_is_refused(host: Host) -> None:
    host.on.run("ip", "link", "set", UPLINK, "txqueuelen", "0")
    with cgroup() as path:
        knob = host.knob("net-out", path)
        with pytest.raises(Refused, match="txqueuelen"):
            host.put_up(knob, 1e6)


def test_an_uplink_that_limiter_toml_does_not_name_is_left_alone(host: Host) -> None:
    kernel = host.kernel(interfaces=("tap*",))
    with cgroup() as path, pytest.raises(Refused, match="interfaces") as refused:
        host.on.inside(lambda: kernel.knobs("net-out", place(path), ()))
    assert refused.value.promise == 8


def test_a_host_without_a_default_route_has_no_uplink(host: Host) -> None:
    host.on.run("ip", "route", "del", "default")
    with cgroup() as path, pytest.raises(Refused, match="no default route"):
        host.knob("net-in", path)


@pytest.mark.parametrize("resource", WAYS)
def test_a_cgroup_that_goes_takes_its_limit_with_it(host: Host, resource: Resource) -> None:
    before = host.on.listing()
    with cgroup() as path:
        knob = host.knob(resource, path)
        host.put_up(knob, 1e6)
        for root in read_mounts().roots():
            remove_group(Path(f"{root}{path}"))
            Path(f"{root}{path}").mkdir()
        with pytest.raises(Gone):
            host.on.inside(lambda: host.kernel().read(knob))
        assert host.knob(resource, path) != knob, "another group has its name"
        host.on.inside(lambda: host.kernel().clean_up(knob))
    assert host.on.listing() == before


@pytest.mark.parametrize("resource", WAYS)
def test_an_uplink_that_goes_takes_its_limit_with_it(host: Host, resource: Resource) -> None:
    with cgroup() as path:
        knob = host.knob(resource, path)
        host.put_up(knob, 1e6)
        host.on.run("ip", "link", "del", UPLINK)
        with pytest.raises(Gone):
            host.on.inside(lambda: host.kernel().read(knob))
        host.on.inside(lambda: host.kernel().clean_up(knob))
    assert host.on.run("nft", "list", "ruleset") == ""


@pytest.mark.parametrize("resource", WAYS)
def test_somebody_elses_rule_in_our_table_is_not_ours(host: Host, resource: Resource) -> None:
    with cgroup() as path:
        knob = host.knob(resource, path)
        before = host.put_up(knob, 1e6)
        way, chain = ("in", "input") if resource == "net-in" else ("out", "output")
        table = f"fairuse-{way}-{knob.identity:x}-{UPLINK}"
        host.on.run("nft", f"add rule inet {table} {chain} counter")
        read = host.on.inside(lambda: host.kernel().read(knob))
        assert "somebody else's" in read.values()
        host.put_back(knob, before)


def test_measuring_counts_what_the_uplink_carried_and_leaves_nothing(host: Host) -> None:
    before = host.on.listing()
    with cgroup() as path:
        knob = host.knob("net-out", path)
        kernel = host.kernel()
        assert host.on.inside(lambda: kernel.measure(knob)) == {"bytes": 0.0}
        assert host.on.inside(lambda: kernel.read(knob)["marking"]) == "none"
        host.on.inside(lambda: kernel.measure_only([knob]))
        assert host.on.listing() != before, "it is measured still"
        host.on.inside(lambda: kernel.measure_only(()))
        assert host.on.listing() == before


@pytest.mark.parametrize("resource", WAYS)
def test_whatever_step_is_the_last_a_new_start_restores_everything(
    host: Host, resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power goes between any two writes to the kernel, while a limit goes up and comes down."""
    steps, before = Steps(), host.on.listing()
    load, ask = nft.load, netlink._ask

    def cut_load(script: str) -> None:
        steps.step()
        load(script)

    def cut_ask(what: str, index: int, message: int, flags: int, **words: object) -> list[object]:
        if flags & netlink._ORDER == netlink._ORDER:
            steps.step()
        return ask(what, index, message, flags, **words)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(nft, "load", cut_load)
    monkeypatch.setattr(netlink, "_ask", cut_ask)
    amount = Allowance(bytes_per_second=1e6)
    wish = LimitOrder(
        order="one",
        tenant="alder",
        resource=resource,
        allowance=amount,
        fair_share=amount,
        remaining_seconds=60,
    )
    with cgroup() as path:

        def story(journal: Journal) -> None:
            clock, kernel = SetClock(), host.kernel()
            keeper = Keeper(LimiterSettings(), kernel, journal, clock, "boot")
            keeper.start("limiter-started")
            monkeypatch.setattr(kernel, "measure", lambda knob: {"bytes": clock.now * 9e6})
            asked = SetLimits(orders=(wish,), places=(place(path),), controller_heard_seconds_ago=0)
            keeper.set_limits(asked)
            clock.now += 2
            keeper.tick()
            assert keeper.state().held
            keeper.lift_all("lift-all")

        def start(journal: Journal) -> None:
            Keeper(LimiterSettings(), host.kernel(), journal, SetClock(), "boot").start("lift-all")

        file = host.directory / "journal"
        for last in range(40):
            steps.taken, steps.until = 0, last
            try:
                with Journal(file) as journal:
                    host.on.inside(partial(story, journal))
            except PowerCut:
                pass
            else:
                break
            steps.until = None
            with Journal(file) as journal:
                host.on.inside(partial(start, journal))
            assert host.on.listing() == before, f"after {last} steps"
            file.unlink()
        assert last == (6 if resource == "net-out" else 2)
    assert host.on.listing() == before
