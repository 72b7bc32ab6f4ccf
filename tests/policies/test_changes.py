"""What changes for whom, in plain words, for every setting that there is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from controller.fairshare.changes import _settings, changes
from controller.fairshare.explain import explain
from controller.fairshare.meanings import meaning_of
from controller.fairshare.policy import Policy
from fairuse_protocol.settings import load_settings, parse_settings


def changed(text: str, before: str = "") -> list[tuple[str, str, str]]:
    old = parse_settings(before, Policy, source="before")
    new = parse_settings(text, Policy, source="after")
    return [(each.key, each.effect, each.meaning) for each in changes(old, new)]


@pytest.mark.parametrize(
    ("text", "key", "effect", "meaning"),
    [
        (
            "[rule]\nratio = 3.0",
            "rule.ratio",
            "milder",
            "Customers between 2 and 3 times their fair share are no longer written to.",
        ),
        (
            "[rule]\nratio = 1.5",
            "rule.ratio",
            "stricter",
            "Customers between 1.5 and 2 times their fair share are written to from now on, if "
            "all else holds.",
        ),
        (
            '[severity.high]\nharmed_share = 0.25\nwaiting = 0.2\ndeadline = "1d"',
            "severity.high.deadline",
            "milder",
            "Customers get 1 day instead of 4 hours at high severity.",
        ),
        (
            "[rule.net_out]\ncontended_utilisation = 0.75\ncontended_waiting = 0.02\n"
            "harmed_waiting = 0.02",
            "rule.net_out.contended_utilisation",
            "stricter",
            "Outgoing network: hosts with 75 % to 90 % in use and little waiting count as short "
            "of it from now on.",
        ),
        (
            '[limit]\nlease = "10m"',
            "limit.lease",
            "milder",
            "A limit ends after 10 minutes instead of 15 minutes at the latest.",
        ),
        (
            '[rule]\nwindow = "30m"',
            "rule.window",
            "milder",
            "The rule looks back over 30 minutes instead of 20 minutes. At least 18 minutes of "
            "it has to count, instead of 12 minutes.",
        ),
        (
            'language = "da"',
            "language",
            "other",
            "Notices are in Danish instead of English, where nothing else is said.",
        ),
    ],
)
def test_a_change_is_told_by_what_it_does_to_whom(
    text: str, key: str, effect: str, meaning: str
) -> None:
    assert changed(text) == [(key, effect, meaning)]


def test_requiring_fewer_limbs_is_stricter() -> None:
    ((_, effect, _),) = changed('[rule]\nrequires = "either"')
    assert effect == "stricter"
    ((_, effect, _),) = changed("", before='[rule]\nrequires = "share"')
    assert effect == "milder"


def test_a_setting_that_is_not_looked_at_changes_nothing() -> None:
    interference = '[rule]\nrequires = "interference"\nratio = {}'
    ((_, effect, meaning),) = changed(interference.format(3), before=interference.format(2))
    assert (effect, meaning) == ("other", 'Nothing, while requires = "interference".')


def test_every_setting_has_its_meaning() -> None:
    for key, _ in _settings(Policy()):
        assert key == "rule.requires" or meaning_of(key)


SHIPPED = [load_settings(path, Policy) for path in sorted(Path("config/policies").glob("*.toml"))]


@pytest.mark.parametrize("after", SHIPPED, ids=lambda policy: policy.name)
def test_shipped_policies_are_explained_and_compared_in_whole_sentences(after: Policy) -> None:
    assert all(line.text for section in explain(after).sections for line in section.lines)
    for before in SHIPPED:
        for change in changes(before, after):
            assert change.meaning[0].isupper()
            assert change.meaning.endswith(".")
            assert "{" not in change.meaning
            assert change.before != change.after


def test_nothing_changes_between_a_policy_and_itself() -> None:
    assert changes(Policy(), msgspec.structs.replace(Policy())) == ()
