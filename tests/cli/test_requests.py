"""What customers ask for, decided from the command line, against the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.cases import requests
from controller.cases.requests import Wanted
from tests.cases.world import POLICY
from tests.cli.served import Served, serve
from tests.cli.test_commands import fairuse

BECAUSE = ["--reason", "as agreed by telephone"]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path) as served:
        yield served


async def asked(served: Served) -> str:
    """A case whose customer asks for an agreement and for a load test; returns its id."""
    case_id = await served.notified()
    wanted = Wanted(ends_at=served.world.now + 86400, asked_by="Hanne Hog", note="for the shop")
    await served.world.desk.carry_out(
        case_id,
        lambda case, now: requests.ask_for_agreement(case, wanted, POLICY, now=now),
    )
    await served.world.desk.carry_out(
        case_id,
        lambda case, now: requests.ask_for_test(case, wanted, POLICY, now=now),
    )
    return case_id


async def test_an_operator_sees_what_is_asked_for_and_grants_one_and_refuses_the_other(
    served: Served,
) -> None:
    case_id = await asked(served)
    assert "asks for" in (await fairuse("cases", served=served)).out
    shown = await fairuse("case", case_id, served=served)
    assert "agreement until" in shown.out
    assert "Hanne Hog: waiting" in shown.out
    unclear = await fairuse("grant", case_id, *BECAUSE, served=served)
    assert (unclear.status, "or which is meant" in unclear.err) == (1, True)
    granted = await fairuse(
        "grant", case_id, *BECAUSE, "--request", "agreement", "--share", "60%", served=served
    )
    assert (granted.status, granted.err) == (0, "")
    assert "granted by otto: as agreed by telephone" in " ".join(granted.out.split())
    refused = await fairuse("refuse", case_id, *BECAUSE, served=served)
    assert "load-test" in refused.out
    assert "refused by otto" in " ".join(refused.out.split())
    assert "up to 60 %" in (await fairuse("agreements", served=served)).out
    again = await fairuse("refuse", case_id, *BECAUSE, served=served)
    assert (again.status, "found none" in again.err) == (1, True)
