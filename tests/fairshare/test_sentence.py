"""The sentence that a customer reads, in every language that it is written in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller.fairshare.evidence import Verdict
from controller.fairshare.sentence import amount, duration, sentence, waited
from controller.language.catalogue import languages
from fairuse_protocol.messages import RESOURCES, Resource
from tests.fairshare.test_rule import steady, verdict_on

ENGLISH, DANISH = languages()["en"], languages()["da"]
UNITS: dict[Resource, float] = {"cpu": 1.0, "disk": 0.125, "net-in": 15.625e6, "net-out": 15.625e6}
"""What a core of the usual host is of each resource: an eighth."""


def seen(resource: Resource = "cpu", **changes: Any) -> Verdict:
    """6.2 of 8 cores for twenty minutes, or as much of another resource."""
    unit = UNITS[resource]
    return msgspec.structs.replace(
        verdict_on("hog", steady()),
        **{
            "resource": resource,
            "window_seconds": 1200.0,
            "samples": (),
            "average_used": 6.2 * unit,
            "average_fair_share": 1.5 * unit,
            "capacity": 8 * unit,
            "ratio": 4.1,
            "neighbours_harmed": 11,
            "neighbours_waiting": 0.23,
            "utilisation": None,
            **changes,
        },
    )


def test_the_sentence_tells_use_share_and_waiting_in_figures() -> None:
    assert sentence(seen()) == (
        "Over the last 20 minutes your server used 6.2 of this machine's 8 CPU cores on average, "
        "4.1 times its fair share of 1.5, while 11 other customers' servers there waited for CPU "
        "23 % of the time."
    )
    assert sentence(seen(), language=DANISH) == (
        "I løbet af de seneste 20 minutter har din server i gennemsnit brugt 6,2 af maskinens "
        "8 CPU-kerner, hvilket er 4,1 gange dens rimelige andel på 1,5, mens 11 andre kunders "
        "servere på samme maskine har måttet vente på CPU i 23 % af tiden."
    )


@pytest.mark.parametrize(
    ("resource", "english", "danish"),
    [
        (
            "disk",
            "Over the last 20 minutes your server took 78 % of what the disks can do on average, "
            "4.1 times its fair share of 19 %, while 1 other customer's server there waited for "
            "the disks 0.4 % of the time.",
            "I løbet af de seneste 20 minutter har din server i gennemsnit lagt beslag på 78 % af "
            "det, diskene kan yde, hvilket er 4,1 gange dens rimelige andel på 19 %, mens 1 anden "
            "kundes server på samme maskine har måttet vente på diskene i 0,4 % af tiden.",
        ),
        (
            "net-in",
            "Over the last 20 minutes your server received 775 Mbit/s of this machine's 1 Gbit/s "
            "on average, 4.1 times its fair share of 188 Mbit/s, while 1 other customer's server "
            "there waited for the network, with 0.4 % of packets held up.",
            "I løbet af de seneste 20 minutter har din server i gennemsnit modtaget 775 Mbit/s af "
            "maskinens 1 Gbit/s, hvilket er 4,1 gange dens rimelige andel på 188 Mbit/s, mens 1 "
            "anden kundes server på samme maskine har måttet vente på netværket, hvor 0,4 % af "
            "pakkerne er blevet holdt tilbage.",
        ),
        (
            "net-out",
            "Over the last 20 minutes your server sent 775 Mbit/s of this machine's 1 Gbit/s "
            "on average, 4.1 times its fair share of 188 Mbit/s, while 1 other customer's server "
            "there waited for the network, with 0.4 % of packets held up.",
            "I løbet af de seneste 20 minutter har din server i gennemsnit sendt 775 Mbit/s af "
            "maskinens 1 Gbit/s, hvilket er 4,1 gange dens rimelige andel på 188 Mbit/s, mens 1 "
            "anden kundes server på samme maskine har måttet vente på netværket, hvor 0,4 % af "
            "pakkerne er blevet holdt tilbage.",
        ),
    ],
)
def test_each_resource_has_its_own_words_for_one_neighbour_and_a_small_share(
    resource: Resource, english: str, danish: str
) -> None:
    verdict = seen(resource, neighbours_harmed=1, neighbours_waiting=0.004)
    assert sentence(verdict) == english
    assert sentence(verdict, language=DANISH) == danish


@pytest.mark.parametrize("resource", RESOURCES)
def test_one_neighbour_is_not_several(resource: Resource) -> None:
    one, two = seen(resource, neighbours_harmed=1), seen(resource, neighbours_harmed=2)
    assert "1 other customer's server there" in sentence(one)
    assert "2 other customers' servers there" in sentence(two)
    assert "1 anden kundes server på" in sentence(one, language=DANISH)
    assert "2 andre kunders servere på" in sentence(two, language=DANISH)


def test_one_hour_and_one_core_are_not_several() -> None:
    verdict = seen(window_seconds=3600.0, capacity=1.0, average_used=0.8, average_fair_share=0.004)
    assert "used 0.8 of this machine's 1 CPU core on" in sentence(verdict)
    assert "its fair share of 0.004," in sentence(verdict)
    danish = sentence(verdict, language=DANISH)
    assert danish.startswith("I løbet af den seneste time har din server i gennemsnit brugt 0,8 af")
    assert "maskinens 1 CPU-kerne, hvilket" in danish
    assert "andel på 0,004," in danish


@pytest.mark.parametrize(
    ("resource", "english", "danish"),
    [
        (
            "cpu",
            "while the machine is at 93 % of what it can do.",
            "mens maskinen er oppe på 93 % af det, den kan yde.",
        ),
        (
            "disk",
            "while the machine's disks are at 93 % of what they can do.",
            "mens maskinens diske er oppe på 93 % af det, de kan yde.",
        ),
        (
            "net-in",
            "while the machine's network is at 93 % of what it can do.",
            "mens maskinens netværk er oppe på 93 % af det, det kan yde.",
        ),
        (
            "net-out",
            "while the machine's network is at 93 % of what it can do.",
            "mens maskinens netværk er oppe på 93 % af det, det kan yde.",
        ),
    ],
)
def test_a_risk_is_told_as_a_risk_and_nobody_is_said_to_wait(
    resource: Resource, english: str, danish: str
) -> None:
    verdict = seen(resource, neighbours_harmed=0, neighbours_waiting=0.0)
    assert sentence(msgspec.structs.replace(verdict, utilisation=0.93)).endswith(english)
    assert "waited" not in sentence(msgspec.structs.replace(verdict, utilisation=0.93))
    assert sentence(msgspec.structs.replace(verdict, utilisation=0.93), language=DANISH).endswith(
        danish
    )


def test_when_somebody_waits_that_is_told_however_full_the_machine_is() -> None:
    assert sentence(seen(utilisation=0.93)) == sentence(seen())


def test_without_harm_and_without_risk_only_the_use_is_told() -> None:
    verdict = seen(neighbours_harmed=0, neighbours_waiting=0.0)
    assert sentence(verdict).endswith("4.1 times its fair share of 1.5.")
    assert sentence(verdict, language=DANISH).endswith("dens rimelige andel på 1,5.")


@pytest.mark.parametrize("resource", RESOURCES)
def test_blame_that_is_shared_is_told_as_shared(resource: Resource) -> None:
    two, three = sentence(seen(resource, causes=2)), sentence(seen(resource, causes=3))
    assert two.endswith(" The load came from your server together with 1 other customer's server.")
    assert three.endswith(
        " The load came from your server together with 2 other customers' servers."
    )
    danish = sentence(seen(resource, causes=2), whose="din server web-042", language=DANISH)
    assert danish.endswith(
        " Belastningen kom fra din server web-042 sammen med 1 anden kundes server."
    )
    assert sentence(seen(resource, causes=3), language=DANISH).endswith(
        " sammen med 2 andre kunders servere."
    )


@pytest.mark.parametrize(
    ("resource", "english", "danish"),
    [
        ("cpu", "it uses 0.8 at", "bruger den 0,8 på"),
        ("disk", "it takes 10 % at", "lægger den beslag på 10 % på"),
        ("net-in", "it receives 100 Mbit/s at", "modtager den 100 Mbit/s på"),
        ("net-out", "it sends 100 Mbit/s at", "sender den 100 Mbit/s på"),
    ],
)
def test_a_habit_is_told_beside_what_is_seen(resource: Resource, english: str, danish: str) -> None:
    usual = 0.8 * UNITS[resource]
    assert sentence(seen(resource, usual_used=usual)) == (
        f"{sentence(seen(resource))} Usually {english} this hour of the week."
    )
    assert sentence(seen(resource, usual_used=usual), language=DANISH) == (
        f"{sentence(seen(resource), language=DANISH)} Normalt {danish} dette tidspunkt af ugen."
    )


@pytest.mark.parametrize(
    ("resource", "english", "danish"),
    [
        (
            "cpu",
            "used 6.2 CPU cores on average, 78 % of what this machine delivered and 4.1 times",
            "brugt 6,2 CPU-kerner, svarende til 78 % af det, maskinen har ydet, og 4,1 gange",
        ),
        (
            "disk",
            "took 78 % of what this machine's disks delivered on average, 4.1 times",
            "lagt beslag på 78 % af det, maskinens diske har ydet, hvilket er 4,1 gange",
        ),
        (
            "net-in",
            "received 775 Mbit/s on average, 78 % of what this machine delivered and 4.1 times",
            "modtaget 775 Mbit/s, svarende til 78 % af det, maskinen har ydet, og 4,1 gange",
        ),
        (
            "net-out",
            "sent 775 Mbit/s on average, 78 % of what this machine delivered and 4.1 times",
            "sendt 775 Mbit/s, svarende til 78 % af det, maskinen har ydet, og 4,1 gange",
        ),
    ],
)
def test_a_capacity_that_nobody_knows_is_not_claimed(
    resource: Resource, english: str, danish: str
) -> None:
    assert f"your server {english} its fair" in sentence(seen(resource, capacity_known=False))
    told = sentence(seen(resource, capacity_known=False), language=DANISH)
    assert f"i gennemsnit {danish} dens rimelige" in told


@pytest.mark.parametrize("language", languages().values(), ids=languages().keys())
@pytest.mark.parametrize("resource", RESOURCES)
def test_every_sentence_is_whole_and_begins_as_one(resource: Resource, language: Any) -> None:
    for harmed in (0, 1, 2, 11):
        for known in (True, False):
            told = sentence(
                seen(
                    resource,
                    neighbours_harmed=harmed,
                    neighbours_waiting=0.0004,
                    causes=3,
                    usual_used=0.0,
                    capacity_known=known,
                    utilisation=1.0,
                ),
                language=language,
            )
            assert told[0].isupper()
            assert told.endswith(".")
            assert not {"%(", "  ", "..", ",,"} & {told[n : n + 2] for n in range(len(told))}


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        ("cpu", 1.0, "1 CPU core"),
        ("cpu", 0.667, "0.67 CPU cores"),
        ("net-out", 6.25e6, "50 Mbit/s"),
        ("disk", 0.625, "62 % of what the disks can do"),
    ],
)
def test_amounts_are_written_as_people_write_them(resource, value, text) -> None:  # type: ignore[no-untyped-def]  # table-driven
    assert amount(resource, value) == text


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        ("cpu", 1.0, "1 CPU-kerne"),
        ("cpu", 0.667, "0,67 CPU-kerne"),
        ("cpu", 6.2, "6,2 CPU-kerner"),
        ("net-out", 6e6, "48 Mbit/s"),
        ("disk", 0.625, "62 % af det, diskene kan yde"),
    ],
)
def test_danish_amounts_are_written_as_danes_write_them(resource, value, text) -> None:  # type: ignore[no-untyped-def]  # table-driven
    assert amount(resource, value, DANISH) == text


def test_waiting_is_told_in_the_terms_in_which_it_was_measured() -> None:
    assert waited("cpu", 0.23) == "23 % of the time"
    assert waited("net-in", 0.004) == "0.4 % of packets held up"
    assert waited("disk", 0.23, DANISH) == "23 % af tiden"
    assert waited("net-out", 0.004, DANISH) == "0,4 % af pakkerne holdt tilbage"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (8, "8 seconds"),
        (60, "1 minute"),
        (90, "90 seconds"),
        (1200, "20 minutes"),
        (86400, "1 day"),
    ],
)
def test_times_are_written_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_of_a_window_that_was_measured_in_part_the_measured_time_is_told() -> None:
    verdict = verdict_on("hog", steady())
    first = verdict.samples[0]
    half = msgspec.structs.replace(
        verdict,
        window_seconds=1200.0,
        samples=(msgspec.structs.replace(first, ended_at=verdict.decided_at - 590, seconds=10.0),),
    )
    assert sentence(half).startswith("Over the last 10 minutes")
    whole = msgspec.structs.replace(half, window_seconds=620.0)
    assert sentence(whole).startswith("Over the last 10 minutes")
