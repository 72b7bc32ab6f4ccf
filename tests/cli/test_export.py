"""Exports from the command line, against the real server."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from controller.web.export_messages import LimitedTime
from fairuse_cli.export_tables import intervals_csv
from fairuse_cli.failures import CommandFailed
from fairuse_cli.moments import span_end, span_start
from tests.cli.served import Served
from tests.cli.test_commands import fairuse, served

__all__ = ["served"]
SPAN = ("--from", "1970-01-01", "--to", "1970-02")
"""The tests' clock begins in January 1970."""


async def test_limited_time_is_exported_for_people_spreadsheets_and_programs(
    served: Served,
) -> None:
    case_id = await served.limited()
    confirmed_at = served.world.now
    await served.world.pass_time(60)
    document = (await fairuse("export", "limited", *SPAN, "--json", served=served)).document
    (interval,) = document["intervals"]
    assert datetime.fromisoformat(interval["from"]) == datetime.fromtimestamp(confirmed_at, UTC)
    assert (interval["seconds"], interval["goes_on"], interval["ordered_by"]) == (60, True, None)
    assert (interval["case"], interval["held"]) == (case_id, "cpu")
    assert interval["allowance"]["cores"] > 0
    assert document["totals"] == [
        {"tenant": "hog", "limited_seconds": 60, "suspended_seconds": 0, "orders": 1}
    ]
    listed = await fairuse("export", "limited", *SPAN, "--csv", served=served)
    (row,) = csv.DictReader(io.StringIO(listed.out))
    assert (row["tenant"], row["seconds"], row["ordered_by"]) == ("hog", "60", "the rule")
    assert row["from"] == interval["from"].replace(".000000", "")
    totals = await fairuse("export", "limited", *SPAN, "--csv", "--totals", served=served)
    assert totals.out.splitlines()[1] == "hog,60,0,1"
    shown = await fairuse("export", "limited", *SPAN, served=served, token=served.viewer)
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "1m, goes on" in " ".join(shown.out.split())


async def test_only_the_tenant_and_the_time_asked_for_are_exported(served: Served) -> None:
    await served.limited()
    await served.world.pass_time(60)
    for words in (["--tenant", "a", *SPAN], ["--from", "1971", "--to", "1972-01"]):
        ended = await fairuse("export", "limited", *words, served=served)
        if "1971" in words:
            assert (ended.status, "--from: expected" in ended.err) == (2, True)
        else:
            assert "Nobody was limited." in ended.out
    backwards = await fairuse(
        "export", "limited", "--from", "1970-02", "--to", "1970-01-01", served=served
    )
    assert backwards.status == 1
    assert "to: expected a time after from" in backwards.err


def test_names_cannot_run_as_formulas_in_a_spreadsheet() -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    wicked = '=HYPERLINK("http://example.net")'
    written = intervals_csv(
        LimitedTime(
            tenant=name,
            host="h1",
            held="suspension",
            begins=moment,
            until=moment,
            seconds=1.5,
            goes_on=False,
            allowance=None,
            ordered_by="-otto",
            case="c1",
            order="o1",
        )
        for name in (wicked, "+1", "@x", "plain, with a comma")
    )
    rows = list(csv.DictReader(io.StringIO(written)))
    assert [row["tenant"] for row in rows] == [
        f"'{wicked}",
        "'+1",
        "'@x",
        "plain, with a comma",
    ]
    assert {row["ordered_by"] for row in rows} == {"'-otto"}
    assert {row["from"] for row in rows} == {"2026-11-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("typed", "start", "end"),
    [
        ("2026-11", "2026-11-01T00:00+00:00", "2026-12-01T00:00+00:00"),
        ("2026-12", "2026-12-01T00:00+00:00", "2027-01-01T00:00+00:00"),
        ("2028-02", "2028-02-01T00:00+00:00", "2028-03-01T00:00+00:00"),
        ("2026-11-30", "2026-11-30T00:00+00:00", "2026-12-01T00:00+00:00"),
        ("2026-11-01T12:00+01:00", "2026-11-01T11:00+00:00", "2026-11-01T11:00+00:00"),
        ("2026-11-01 14:00", "2026-11-01T14:00+00:00", "2026-11-01T14:00+00:00"),
    ],
)
def test_a_span_is_typed_as_months_days_or_times_and_is_the_same_whoever_types_it(
    typed: str, start: str, end: str
) -> None:
    assert span_start("--from", typed) == datetime.fromisoformat(start)
    assert span_end("--to", typed) == datetime.fromisoformat(end)


@pytest.mark.parametrize("typed", ["2026", "2026-13", "November", "3d", "", "9999-12-32"])
def test_what_is_no_time_is_refused_by_the_options_name(typed: str) -> None:
    with pytest.raises(CommandFailed, match="--to: expected"):
        span_end("--to", typed)


async def test_a_tenants_data_is_handed_over_and_then_forgotten(served: Served) -> None:
    case_id = await served.notified()
    await served.world.desk.dismiss(case_id, by="otto", reason="a mistake")
    await served.world.deliver()
    counted = await fairuse("export", "tenant", "hog", served=served)
    assert "cases         1" in counted.out
    whole = await fairuse("export", "tenant", "hog", "--json", served=served)
    assert whole.document["cases"][0]["id"] == case_id
    gone = await fairuse("forget", "hog", "--reason", "over", served=served)
    assert "Erased 1 case and " in gone.out
    verified = await fairuse("audit", "verify", served=served)
    assert (verified.status, "are erased, as their cases tell" in verified.out) == (0, True)
    announced = await fairuse("announcements", served=served)
    assert announced.out == "Nobody was told anything.\n"


async def test_an_agreement_that_is_in_force_is_listed_and_erased_only_when_that_is_said(
    served: Served,
) -> None:
    with_hanne = ["--exempt", "--until", "2100-01-01", "--with", "Hanne Hog"]
    made = await fairuse("agree", "hog", *with_hanne, served=served)
    agreement_id = made.out.split()[1]
    refused = await fairuse("forget", "hog", "--reason", "over", served=served)
    assert (refused.status, refused.out) == (2, "")
    assert f"{agreement_id}: exempt, any resource, until 2100-01-01 00:00 UTC" in refused.err
    assert "nothing was erased" in refused.err
    assert "in-force" in (await fairuse("agreements", served=served)).out
    gone = await fairuse("forget", "hog", "--reason", "over", "--with-agreements", served=served)
    assert f"Erased agreement {agreement_id}: " in gone.out
    assert (await fairuse("agreements", served=served)).out == "No agreement.\n"
