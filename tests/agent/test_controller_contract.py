"""The controller double and the real controller answer an agent in the same way."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairuse_agent.reporting.link import (
    Accepted,
    EnrolmentError,
    Failed,
    Outcome,
    Refused,
    ask_for_credential,
    open_link,
)
from fairuse_agent.settings import ControllerLink
from fairuse_protocol.limits import ReportAnswer
from fairuse_protocol.reports import Report, TenantUsage, encode_report
from tests.agent.controller_double import controller_double
from tests.agent.rig import link_settings, usage
from tests.intake.serving import running_server


@dataclass
class Side:
    url: str
    token: str


@pytest.fixture(params=["double", "real"])
async def side(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Side]:
    if request.param == "double":
        async with controller_double() as double:
            yield Side(double.url, double.token)
    else:
        (tmp_path / "real").mkdir()
        async with running_server(tmp_path / "real") as server:
            server.clock.now = time.time()
            yield Side(server.url, await server.enrolment_token("h1"))


def report(**changes: Any) -> Report:
    whole = Report(
        host="h1",
        spool="s",
        sequence=3,
        started_at=time.time() - 10,
        seconds=10.0,
        usage=usage(),
        tenants=(TenantUsage(tenant="a", cpu_seconds=1.0),),
    )
    return msgspec.structs.replace(whole, **changes)


async def outcome_of(
    side: Side, tmp_path: Path, body: bytes, credential: str = ""
) -> list[Outcome]:
    if not credential:
        settings = ControllerLink(url=side.url, credential_file=str(tmp_path / "none"))
        credential = await ask_for_credential(settings, "h1", side.token)
    async with open_link(link_settings(tmp_path, side.url, credential)) as link:
        return [await link.send(body), await link.send(body)]


async def test_a_report_is_acknowledged_each_time_it_comes(side: Side, tmp_path: Path) -> None:
    for outcome in await outcome_of(side, tmp_path, encode_report(report())):
        assert outcome == Accepted(ReportAnswer(spool="s", acknowledged_sequence=3))


async def test_a_bad_report_is_refused_for_good_with_the_field_named(
    side: Side, tmp_path: Path
) -> None:
    for outcome in await outcome_of(side, tmp_path, encode_report(report(seconds=-1.0))):
        assert isinstance(outcome, Refused)
        assert "seconds" in outcome.reason


async def test_bytes_that_are_no_report_are_refused_for_good(side: Side, tmp_path: Path) -> None:
    for outcome in await outcome_of(side, tmp_path, b"\x00nonsense"):
        assert isinstance(outcome, Refused)


async def test_a_wrong_credential_may_be_mended_and_loses_no_report(
    side: Side, tmp_path: Path
) -> None:
    for outcome in await outcome_of(side, tmp_path, encode_report(report()), "wrong"):
        assert isinstance(outcome, Failed)
        assert " 401 " in outcome.reason


async def test_another_hosts_report_is_not_accepted(side: Side, tmp_path: Path) -> None:
    for outcome in await outcome_of(side, tmp_path, encode_report(report(host="h2"))):
        assert isinstance(outcome, Failed)
        assert " 403 " in outcome.reason


async def test_a_token_that_is_not_known_enrols_nobody(side: Side, tmp_path: Path) -> None:
    link = ControllerLink(url=side.url, credential_file=str(tmp_path / "none"))
    with pytest.raises(EnrolmentError, match="403 token: "):
        await ask_for_credential(link, "h1", "made-up")
