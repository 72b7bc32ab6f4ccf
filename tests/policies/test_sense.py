"""A policy that cannot be meant is refused with file, line, key and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.fairshare.oddities import oddities
from controller.fairshare.policy import Policy
from fairuse_protocol.settings import SettingsError, load_settings, parse_settings

SEVERITY = "[severity.{}]\nharmed_share = {}\nwaiting = {}\ndeadline = '{}'\n"


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as refused:
        parse_settings(text, Policy, source="p.toml")
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        pytest.param(
            '[limit]\nlease = "3h"', "p.toml:2: limit.lease", "limit.max_per_day (2h), found 3h"
        ),
        pytest.param(
            '[limit]\nmax_per_day = "5m"', "p.toml:2: limit.lease", "max_per_day (5m), found 15m"
        ),
        pytest.param('[limit]\nmax_per_day = "2d"', "p.toml:2: limit.max_per_day", "at most 1d"),
        pytest.param('[limit]\nstep_every = "15m"', "p.toml:2: limit.step_every", "never moves"),
        pytest.param("[limit]\nease = inf", "p.toml:2: limit.ease", "found inf"),
        pytest.param(
            "[rule]\n[severity.low]\ndeadline = '2d'",
            "p.toml:2: severity.low",
            "expected all of harmed_share, waiting, deadline, found no harmed_share and no waiting",
            id="a part of a severity",
        ),
        pytest.param(
            SEVERITY.format("critical", 0.5, 0.4, "10m"),
            "p.toml:4: severity.critical.deadline",
            "before the mail can have arrived, found 10m",
            id="a deadline before the mail",
        ),
        pytest.param(
            '[times]\nmail_arrives_within = "2h"',
            "p.toml:2: severity.critical.deadline",
            "found 1h",
            id="the line of the setting that is in the file",
        ),
        pytest.param(
            "[times]\nrepeat_deadline_factor = 0.1",
            "p.toml:2: times.repeat_deadline_factor",
            "which leaves 6m",
            id="a repeat's deadline before the mail",
        ),
        pytest.param(
            SEVERITY.format("critical", 0.1, 0.4, "1h"),
            "p.toml:2: severity.critical.harmed_share",
            "at least 0.25 as for severity.high",
            id="worse, and easier to reach",
        ),
        pytest.param(
            SEVERITY.format("critical", 0.5, 0.4, "5h"),
            "p.toml:4: severity.critical.deadline",
            "at most 4h as for severity.high",
            id="worse, and more time",
        ),
        pytest.param("[rule]\nmin_share = 1.0", "p.toml:2: rule.min_share", "nobody could"),
        pytest.param("[rule]\nratio = inf", "p.toml:2: rule.ratio", "found inf"),
        pytest.param("[rule]\nmeasured_share = 1.0", "p.toml:2: rule.measured_share", "no verdict"),
        pytest.param("[rule]\nfor_share = 0.0", "p.toml:2: rule.for_share", "single moment"),
        pytest.param("[rule]\ncause_share = 0.0", "p.toml:2: rule.cause_share", "everybody"),
        pytest.param(
            "[rule.cpu]\ncontended_waiting = 1.0\ncontended_utilisation = 1.0",
            "p.toml:2: rule.cpu.contended_waiting",
            "nothing would be contended",
        ),
        pytest.param(
            "[rule.disk]\ncontended_utilisation = 0.0",
            "p.toml:2: rule.disk.contended_utilisation",
            "an idle host",
        ),
        pytest.param(
            "[rule.net_in]\nharmed_waiting = 0.0", "p.toml:2: rule.net_in.harmed_waiting", "harmed"
        ),
        pytest.param(
            "[rule.net_in]\nharmed_waiting = 1.0", "p.toml:2: rule.net_in.harmed_waiting", "harmed"
        ),
        pytest.param(
            'clause = "Be fair."', "p.toml:1: name", "the policy that the clause is quoted from"
        ),
        pytest.param('name = " x"', "p.toml:1: name", "without spaces around it"),
        pytest.param('former_version_for = "90d"', "p.toml:1: version", "expected a version"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(text: str, place: str, reason: str) -> None:
    said = refusal(text)
    assert said.startswith(f"{place}: expected")
    assert reason in said


def test_a_day_is_not_a_moment() -> None:
    said = refusal('version = "2"\neffective = 2027-03-01T10:00:00')
    assert said.startswith("p.toml:2: effective:")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('name = "x"', "clause"),
        ("[rule]\nratio = 20", "rule.ratio"),
        ("[rule]\nfor_share = 1.0", "rule.for_share"),
        ('[rule]\nwindow = "30s"', "rule.window"),
        ("[rule]\ncause_share = 0.8", "rule.cause_share"),
        ("[rule.cpu]\nbusy_floor = 0.95", "rule.cpu.busy_floor"),
        ("[limit]\nheadroom = 2.5", "limit.headroom"),
        ("[limit]\nmax_limits_per_host = 0", "limit.max_limits"),
        (SEVERITY.format("low", 0.1, 0.1, "24h"), "severity.low"),
    ],
)
def test_what_is_legal_but_hardly_meant_is_pointed_out(text: str, key: str) -> None:
    assert [odd.key for odd in oddities(parse_settings(text, Policy, source="p.toml"))] == [key]


@pytest.mark.parametrize("path", sorted(Path("config/policies").glob("*.toml")), ids=str)
def test_no_shipped_policy_is_odd_but_for_what_it_explains(path: Path) -> None:
    found = [odd.key for odd in oddities(load_settings(path, Policy))]
    assert found == (["clause"] if path.stem == "safespring" else [])
