"""What agreements add to the rule, and how a window that is partly agreed is decided."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from controller.fairshare.agreement import Agreement, AgreementTerms, recorded
from controller.fairshare.entitlement import entitlements
from controller.fairshare.figures import gather
from controller.fairshare.interval import judge
from controller.fairshare.measured import measure
from controller.fairshare.policy import Rule
from controller.fairshare.rule import decide
from controller.fairshare.window import Window
from fairuse_protocol.messages import RESOURCES
from fairuse_protocol.units import Duration
from tests.fairshare.reports import cpu_report

TENANTS = ("hog", "a", "b", "c")
BUSY = dict.fromkeys(TENANTS, 0.5) | {"hog": 6.0}
RULE = Rule(window=Duration(100))


def agreement(begins_at: float = 100.0, ends_at: float = 200.0, **terms: object) -> Agreement:
    given: dict[str, object] = {"tenant": "hog", "kind": "exempt", "agreed_with": "Hanne Hog"}
    made = AgreementTerms(begins_at=begins_at, ends_at=ends_at, **(given | terms))  # type: ignore[arg-type]  # as given
    return recorded(made, "a1", by="otto", now=0.0)


agreements = st.builds(
    agreement,
    begins_at=st.floats(1, 1000),
    ends_at=st.floats(1001, 2000),
    tenant=st.sampled_from((*TENANTS, "elsewhere")),
    host=st.sampled_from(["", "h1", "h2"]),
    resource=st.sampled_from(["", *RESOURCES]),
    kind=st.sampled_from(["exempt", "test"]),
) | st.builds(
    agreement,
    begins_at=st.floats(1, 1000),
    ends_at=st.floats(1001, 2000),
    tenant=st.sampled_from(TENANTS),
    resource=st.sampled_from(["", *RESOURCES]),
    kind=st.just("share"),
    share=st.floats(0.01, 1),
)


@given(st.lists(agreements, max_size=6), st.floats(0, 3000), st.randoms(use_true_random=False))
def test_entitlements_do_not_depend_on_the_order_of_agreements_or_tenants(
    made: list[Agreement], at: float, random: object
) -> None:
    shuffled, tenants = list(made), list(TENANTS)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis's own Random
    random.shuffle(tenants)  # type: ignore[attr-defined]  # as above
    before = entitlements(made, "h1", TENANTS, at)
    after = entitlements(shuffled, "h1", tuple(tenants), at)
    if before is None or after is None:
        assert before is after
        return
    for resource in RESOURCES:
        for name in TENANTS:
            was, now = TENANTS.index(name), tenants.index(name)
            assert before.agreed_share(resource, was) == after.agreed_share(resource, now)
            assert before.exemption(resource, was) == after.exemption(resource, now)


@given(st.lists(agreements, max_size=6), st.floats(0, 3000))
def test_a_fair_share_is_never_less_by_an_agreement_and_only_its_tenant_gets_one(
    made: list[Agreement], at: float
) -> None:
    found = entitlements(made, "h1", TENANTS, at)
    measured = measure([gather(cpu_report(at + 10, BUSY))])
    (plain,), (agreed,) = judge(measured, RULE), judge(measured, RULE, found)
    for index, name in enumerate(TENANTS):
        assert agreed.fair_share("cpu", index) >= plain.fair_share("cpu", index)
        if not any(each.tenant == name for each in made):
            assert agreed.sample("cpu", index).fair_share == plain.fair_share("cpu", index)
            assert agreed.sample("cpu", index).exempt == "none"


def test_an_interval_is_agreed_when_it_ended_inside_the_agreement() -> None:
    made = agreement(100.0, 200.0)
    assert [made.covers("h1", at) for at in (100.0, 101.0, 200.0, 201.0)] == [
        False,
        True,
        True,
        False,
    ]
    withdrawn = msgspec.structs.replace(made, withdrawn_at=150.0, withdrawn_by="anna")
    assert [withdrawn.covers("h1", at) for at in (149.0, 151.0)] == [True, False]
    assert made.state(50) == "to-come"
    assert made.state(150) == "in-force"
    assert made.state(201) == "ended"
    assert withdrawn.state(100) == "withdrawn"


def _outcome(agreed_intervals: int, kind: str, *, calm: int = 0) -> str:
    """Of a window of ten intervals, the last ones agreed, the first ones calm."""
    made = agreement(1000 - agreed_intervals * 10 + 5, 2000, kind=kind)
    window = Window(RULE)
    for number in range(10):
        ended_at = 910.0 + number * 10
        used = dict.fromkeys(TENANTS, 0.5) if number < calm else BUSY
        report = cpu_report(ended_at, used, host_waiting=0.0 if number < calm else 0.4)
        found = entitlements([made], "h1", TENANTS, ended_at)
        (interval,) = judge(measure([gather(report)]), RULE, found)
        window.add(interval)
    verdict = window.verdict("cpu", "hog", now=1000)
    assert decide(verdict.samples, "cpu", RULE, now=1000) == verdict
    return verdict.outcome


def test_a_window_that_is_mostly_agreed_is_agreed_and_one_that_is_partly_so_is_not_sustained() -> (
    None
):
    assert _outcome(0, "exempt") == "disproportionate"
    assert _outcome(4, "exempt") == "disproportionate"
    assert _outcome(5, "exempt") == "not-sustained"
    assert _outcome(6, "exempt") == "agreed"
    assert _outcome(6, "test") == "consented-test"
    assert _outcome(4, "test", calm=3) == "consented-test", "the rest alone would not have counted"
    assert _outcome(2, "exempt", calm=7) == "not-sustained"
