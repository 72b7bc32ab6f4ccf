"""Rings, TOML and the preflight's judgement."""

from __future__ import annotations

import string

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.cases.rings import Rings
from fairuse_protocol.settings import parse_settings
from tests.rollout.collection import AnsibleFilterError, plugin

rings = plugin("filter", "rings")
toml = plugin("filter", "to_toml")
survey = plugin("modules", "survey")
FLEET = [f"node-{number:03}" for number in range(200)]


@settings(deadline=None)  # a busy machine says nothing about a filter
@given(st.sets(st.integers(0, 400).map("n{}".format), min_size=1), st.data())
def test_every_host_is_in_one_ring(hosts: set[str], data: st.DataObject) -> None:
    canary = data.draw(st.lists(st.sampled_from(sorted(hosts)), max_size=3, unique=True))
    divided = rings.rings(hosts, canary)
    assert list(divided) == ["canary", "one", "ten", "all"]
    placed = [host for ring in divided.values() for host in ring]
    assert sorted(placed) == sorted(hosts)


def test_rings_are_a_hundredth_a_tenth_and_the_rest() -> None:
    divided = rings.rings(FLEET, ["node-007"])
    assert divided["canary"] == ["node-007"]
    assert [len(divided[name]) for name in ("one", "ten", "all")] == [1, 18, 180]
    assert rings.rings(reversed(FLEET), ["node-007"]) == divided


def test_a_canary_that_is_no_host_is_refused_by_name() -> None:
    with pytest.raises(AnsibleFilterError, match="node-9"):
        rings.rings(["node-1"], ["node-9"])


def step(current: list[dict[str, str]], ring: str, mode: str) -> dict[str, str]:
    found = rings.next_rings(current, ring, mode, rings.rings(FLEET))
    return {entry["name"]: entry["mode"] for entry in found["ring"]}


def as_rings(modes: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "mode": mode} for name, mode in modes.items()]


def test_a_ring_goes_from_observe_over_contact_to_enforce() -> None:
    modes = step([], "canary", "contact")
    assert modes == {
        "canary": "contact",
        "one": "observe",
        "ten": "observe",
        "all": "observe",
        "unknown": "observe",
    }
    with pytest.raises(AnsibleFilterError, match="contact comes before enforce"):
        step([], "canary", "enforce")
    assert step(as_rings(modes), "canary", "enforce")["canary"] == "enforce"


def test_no_ring_overtakes_an_earlier_one() -> None:
    with pytest.raises(AnsibleFilterError, match="before ring canary, which is at observe"):
        step([], "one", "contact")


def test_going_back_takes_later_rings_along() -> None:
    modes = {"canary": "enforce", "one": "enforce", "ten": "contact", "all": "contact"}
    assert step(as_rings(modes), "one", "observe") == {
        "canary": "enforce",
        "one": "observe",
        "ten": "observe",
        "all": "observe",
        "unknown": "observe",
    }


def test_a_ring_without_hosts_holds_up_none_after_it() -> None:
    divided = rings.rings(["only"])
    found = rings.next_rings([], "one", "contact", {**divided, "canary": []})
    assert found["ring"][1]["mode"] == "contact"


def test_the_controller_reads_what_is_written() -> None:
    written = toml.to_toml(rings.next_rings([], "canary", "contact", rings.rings(FLEET)))
    read = parse_settings(written, Rings, source="rings.toml")
    assert [ring.mode for ring in read.ring] == ["contact", *["observe"] * 4]


_TEXT = st.text(string.printable + "\x7f\u00e6\u2602", max_size=6)
_KEYS = st.text(string.printable, min_size=1, max_size=4)
_PLAIN = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), _TEXT)
_TABLES = st.recursive(
    st.dictionaries(_KEYS, st.one_of(_PLAIN, st.lists(_TEXT, max_size=2)), max_size=3),
    lambda below: st.dictionaries(
        _KEYS, st.one_of(_PLAIN, below, st.lists(below, min_size=1, max_size=2)), max_size=3
    ),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_TABLES)
def test_toml_is_read_back_as_it_was(table: dict[str, object]) -> None:
    assert tomli.loads(toml.to_toml(table)) == table


def test_a_value_that_is_null_is_left_out() -> None:
    assert toml.to_toml({"a": None, "b": 1}) == "b = 1\n"


@pytest.mark.parametrize(
    ("filesystem", "controllers", "v1", "mode"),
    [
        ("cgroup2", ["cpu", "io"], False, "v2"),
        ("hybrid", [], True, "hybrid"),
        ("tmpfs", [], True, "v1"),
        ("cgroup2", [], False, "none"),
        ("", [], False, "none"),
    ],
)
def test_the_cgroup_mode_is_told(
    filesystem: str, controllers: list[str], v1: bool, mode: str
) -> None:
    assert survey.cgroup_mode(filesystem, controllers, v1) == mode
    assert (survey.cgroup_lacks(mode) == []) == (mode == "v2")


def test_pressure_that_is_off_is_told_with_the_way_to_switch_it_on() -> None:
    assert survey.psi_lacks(True, True) == []
    (lack,) = survey.psi_lacks(False, True)
    assert "psi=1" in lack["mend"]
    assert "CONFIG_PSI" not in lack["mend"]
    assert "CONFIG_PSI" in survey.psi_lacks(False, False)[0]["mend"]


def test_missing_modules_of_tc_are_named() -> None:
    known = survey.modules_of(
        ["kernel/net/sched/sch_htb.ko.xz: kernel/lib/x.ko", "kernel/net/sched/act_police.ko"]
    )
    assert {"sch_htb", "act_police"} <= known
    assert "ifb" in survey.tc_lacks(["ifb"], "6.1")[0]["found"]
    assert survey.tc_lacks([], "6.1") == []


@pytest.mark.parametrize(("version", "lacking"), [((3, 11), 0), ((3, 10), 1), (None, 1)])
def test_python_has_to_be_new_enough(version: tuple[int, int] | None, lacking: int) -> None:
    assert len(survey.python_lacks(version, "/usr/bin/python3")) == lacking
