"""Which policy applies to whom, and when: the most specific choice, the newest version."""

from __future__ import annotations

import datetime as dt

import pytest

from controller.cases.policies import PolicySet, policy_set
from controller.cases.selection import Selection
from controller.fairshare.policy import Policy, Rule
from fairuse_protocol.settings import SettingsError, parse_settings
from fairuse_protocol.units import Duration

DAY = 86400


def at(day: str) -> float:
    return dt.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()


NOW = at("2027-01-01")


def version(name: str, version: str, effective: str | None = None, stay_days: int = 0) -> Policy:
    return Policy(
        name=name,
        version=version,
        effective=dt.date.fromisoformat(effective) if effective else None,
        former_version_for=Duration(stay_days * DAY),
    )


PLAIN = Policy(name="plain")
BIG = Policy(name="big", rule=Rule(ratio=3.0))
QUIET = Policy(name="quiet")
FIRST = version("aup", "1")
SECOND = version("aup", "2", "2027-02-01", stay_days=90)
THIRD = version("aup", "3", "2028-02-01")


def chosen(text: str, *policies: Policy) -> PolicySet:
    return policy_set(parse_settings(text, Selection, source="policies.toml"), policies, now=NOW)


def refusal(text: str, *policies: Policy) -> str:
    with pytest.raises(ValueError, match="expected") as refused:
        chosen(text, *policies)
    return str(refused.value)


SPECIFIC = """
default = "plain"
[[for]]
policy = "quiet"
hosts = ["shared-*", "*"]
[[for]]
policy = "big"
plans = ["gold"]
hosts = ["shared-1"]
[[for]]
policy = "aup"
tenants = ["web42"]
"""


@pytest.mark.parametrize(
    ("tenant", "host", "plan", "name"),
    [
        ("web42", "shared-1", "gold", "aup"),
        ("web1", "shared-1", "gold", "big"),
        ("web1", "shared-1", "", "quiet"),
        ("web1", "shared-1", "silver", "quiet"),
    ],
)
def test_tenant_goes_before_plan_before_host_before_default(
    tenant: str, host: str, plan: str, name: str
) -> None:
    policies = chosen(SPECIFIC, PLAIN, BIG, QUIET, FIRST)
    assert policies.policy_for(tenant, host, plan, NOW).name == name


def test_who_is_not_named_has_the_default() -> None:
    text = SPECIFIC.replace(', "*"', "")
    policies = chosen(text, PLAIN, BIG, QUIET, FIRST)
    assert policies.policy_for("web1", "dedicated-1", "", NOW) is PLAIN
    assert policies.policy_for("nobody", "nowhere", "", NOW) is PLAIN


def test_without_anything_the_built_in_policy_applies_to_everybody() -> None:
    policies = chosen("")
    assert policies.policy_for("web1", "h1", "", NOW) == Policy()
    assert policies.policy_for("web1", "h1", "", NOW) is policies.policy_for("x", "y", "z", NOW)
    assert policies.policies(NOW) == (Policy(),)


def test_a_version_applies_from_its_effective_day_utc() -> None:
    policies = chosen('default = "aup"', SECOND, FIRST)
    assert policies.policy_for("web1", "h1", "", at("2027-02-01") - 1) is FIRST
    assert policies.policy_for("web1", "h1", "", at("2027-02-01")) is SECOND


STAY = 'default = "aup"\n[[stay]]\npolicy = "aup"\nversion = "1"\ntenants = ["web42"]\n'


def test_secure_packet_10_a_tenant_stays_on_the_former_version_until_the_day_given() -> None:
    policies = chosen(f"{STAY}until = 2027-04-01", FIRST, SECOND)
    changed, over = at("2027-02-01"), at("2027-04-01")
    assert policies.policy_for("web42", "h1", "", changed) is FIRST
    assert policies.policy_for("web42", "h1", "", over - 1) is FIRST
    assert policies.policy_for("web42", "h1", "", over) is SECOND
    assert policies.policy_for("web1", "h1", "", changed) is SECOND
    assert set(policies.policies(changed)) == {FIRST, SECOND}
    assert policies.policies(over) == (SECOND,)


def test_secure_packet_10_90_days_are_the_longest() -> None:
    chosen(f"{STAY}until = 2027-05-02", FIRST, SECOND)
    said = refusal(f"{STAY}until = 2027-05-03", FIRST, SECOND)
    assert said.startswith("stay[0].until: expected 2027-05-02 at the latest, 90d")


def test_who_stays_on_a_version_that_is_still_to_come_has_the_one_in_force() -> None:
    text = STAY.replace('version = "1"', 'version = "2"')
    lenient = version("aup", "3", "2028-02-01", stay_days=90)
    policies = chosen(f"{text}until = 2028-03-01", FIRST, SECOND, lenient)
    assert policies.policy_for("web42", "h1", "", NOW) is FIRST
    assert policies.policy_for("web42", "h1", "", at("2028-02-02")) is SECOND


@pytest.mark.parametrize(
    ("text", "policies", "said"),
    [
        ('default = "none"', (PLAIN,), 'default: expected a policy\'s name: "plain", "default"'),
        ('[[for]]\npolicy = "none"\nplans = ["x"]', (), "for[0].policy: expected"),
        (
            '[[for]]\npolicy = "big"\nplans = ["x"]\n[[for]]\npolicy = "plain"\nplans = ["x"]',
            (PLAIN, BIG),
            'for[1].plans: expected each name once in all of [[for]], found "x" twice',
        ),
        ("", (FIRST, FIRST), 'files[1]: expected one file a version, found "aup 1" twice'),
        ("", (FIRST, version("aup", "2")), "files: expected versions of"),
        ("", (SECOND,), 'files: expected a version of "aup" that is in force'),
        (f"{STAY}until = 2027-02-02", (FIRST,), "stay[0].version: expected a policy with several"),
        (f"{STAY}until = 2028-02-02", (FIRST, THIRD), "stay[0].until: expected 2028-02-01"),
        (
            f"{STAY}until = 2027-02-02\n{STAY.partition(chr(10))[2]}until = 2027-02-03",
            (FIRST, SECOND),
            'stay[1].tenants: expected each tenant once for a policy, found "web42" twice',
        ),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(
    text: str, policies: tuple[Policy, ...], said: str
) -> None:
    assert refusal(text, *policies).startswith(said)


def test_a_policy_that_is_for_nobody_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"policies\.toml:2: for\[0\]\.policy: expected"):
        chosen('[[for]]\npolicy = "big"', BIG)
