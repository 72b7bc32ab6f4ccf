"""Each provider's policy file does what the clauses ask that are a matter of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.fairshare.explain import explain
from controller.fairshare.policy import SEVERITIES, Policy
from fairuse_protocol.settings import SettingsError, load_settings, parse_settings
from fairuse_protocol.units import Duration

DAY = 86400


def policy(name: str) -> Policy:
    return load_settings(Path("config/policies") / f"{name}.toml", Policy)


def text_of(name: str) -> str:
    return (Path("config/policies") / f"{name}.toml").read_text(encoding="utf-8")


def test_servicepoint_ekseptionel_hoej_belastning_is_far_over_the_default_and_told_in_danish() -> (
    None
):
    servicepoint = policy("servicepoint")
    assert servicepoint.rule.ratio >= 2 * Policy().rule.ratio
    assert servicepoint.rule.requires == "both"
    assert servicepoint.language == "da"
    assert servicepoint.clause.startswith("Ved ekseptionel høj trafik- / CPU- / I/O belastning")


def test_servicepoint_kortvarigt_is_an_hour_a_day_at_most_and_one_customer_at_a_time() -> None:
    limit = policy("servicepoint").limit
    assert limit.max_per_day <= Duration(3600)
    assert limit.max_limits_per_host == 1


def test_secure_packet_1_11_has_two_limbs_and_can_require_both_or_either() -> None:
    assert policy("secure-packet").rule.requires == "both"
    letter = text_of("secure-packet").replace('requires = "both"', 'requires = "either"', 1)
    assert '"either"' in letter
    changed = letter.replace('\nrequires = "both"', '\nrequires = "either"')
    assert parse_settings(changed, Policy, source="x").rule.requires == "either"


def test_secure_packet_10_lets_customers_stay_for_90_days_without_notice_before() -> None:
    assert policy("secure-packet").former_version_for == Duration(90 * DAY)
    assert policy("secure-packet").notice_period == Duration(0)


def test_asergo_1_resource_abuse_requires_that_others_are_disrupted() -> None:
    assert policy("asergo").rule.requires == "both"


ASERGO_NEXT = (
    ("2027-01-29", "2027-02-28", ""),
    ("2027-01-30", "2027-02-28", "effective"),
    ("", "2027-02-28", "announced"),
)


@pytest.mark.parametrize(("announced", "effective", "refused"), ASERGO_NEXT)
def test_asergo_7_a_change_is_told_30_days_in_advance(
    announced: str, effective: str, refused: str
) -> None:
    told = f"announced = {announced}\n" if announced else ""
    text = f"effective = {effective}\n{told}{text_of('asergo')}"
    if not refused:
        parse_settings(text, Policy, source="asergo.toml")
        return
    with pytest.raises(SettingsError, match=rf"asergo\.toml:?\d*: {refused}: expected"):
        parse_settings(text, Policy, source="asergo.toml")
    parse_settings(f'override_reason = "A court order."\n{text}', Policy, source="asergo.toml")


def test_asergo_7_leaves_90_days_under_the_prior_version() -> None:
    assert policy("asergo").former_version_for == Duration(90 * DAY)


def test_clever_cloud_2_1_risk_is_enough_for_the_network_and_only_waiting_for_the_rest() -> None:
    rule = policy("clever-cloud").rule
    assert rule.requires == "share"
    for network in (rule.net_in, rule.net_out):
        assert network.contended_utilisation < Policy().rule.net_in.contended_utilisation
    for other in (rule.cpu, rule.disk):
        assert other.contended_utilisation == 1


def test_safespring_the_reasonable_time_follows_the_risk() -> None:
    deadlines = [policy("safespring").severity.step(each).deadline for each in SEVERITIES]
    assert deadlines == sorted(deadlines, reverse=True)
    assert len(set(deadlines)) == len(SEVERITIES)


def test_safespring_who_fails_to_reply_is_reminded_before_the_time_is_over() -> None:
    found = policy("safespring")
    before = found.times.remind_before
    assert before > 0
    assert [step for step in SEVERITIES if found.severity.step(step).deadline >= 2 * before] == [
        "low",
        "high",
    ]


def test_safespring_a_reply_stops_the_clock_and_silence_does_not() -> None:
    sections = {section.title: section for section in explain(policy("safespring")).sections}
    answers = {line.label: line.text for line in sections["What an answer does"].lines}
    assert answers["acknowledged"] == "no limit for another 8 hours"
    assert answers["no answer"] == "stops nothing"
