from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from fairuse_agent.reporting.orders import Orders
from fairuse_agent.reporting.spool import Spool
from fairuse_protocol.limits import LimitOrder
from fairuse_protocol.messages import Allowance
from fairuse_protocol.reports import Capacity
from tests.agent.controller_double import ControllerDouble, error
from tests.agent.rig import PLENTY, add, delivering, link_settings, until

ORDER = LimitOrder(
    order="o1",
    tenant="a",
    resource="cpu",
    allowance=Allowance(cores=1.0),
    fair_share=Allowance(cores=0.5),
    remaining_seconds=60,
)


def sequences(controller: ControllerDouble) -> list[int]:
    return [report.sequence for report in controller.arrived]


async def test_a_controller_that_was_away_gets_every_report_once_and_in_order(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    spool = Spool(tmp_path / "spool", PLENTY)
    settings = link_settings(tmp_path, controller.url)
    async with delivering(spool, settings, Orders()) as naps:
        add(spool)
        await until(lambda: len(controller.arrived) == 1)
        await controller.stop()
        for _ in range(20):
            add(spool)
        await until(lambda: len(naps.seconds) >= 3)
        await controller.start()
        await until(lambda: len(spool) == 0)
    assert sequences(controller) == list(range(21))
    assert spool.lost == 0
    spool.close()


async def test_a_lost_answer_sends_the_same_report_again(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    controller.faults = [error(500, "stored, but the answer was lost")]
    spool = Spool(tmp_path / "spool", PLENTY)
    add(spool)
    add(spool)
    async with delivering(spool, link_settings(tmp_path, controller.url), Orders()):
        await until(lambda: len(spool) == 0)
    assert sequences(controller) == [0, 1]
    assert controller.requests == 3
    spool.close()


async def test_reports_that_wait_from_before_a_restart_go_first(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    before = Spool(tmp_path / "spool", PLENTY)
    add(before)
    add(before)
    await before.flush()
    before.close()
    after = Spool(tmp_path / "spool", PLENTY)
    add(after)
    async with delivering(after, link_settings(tmp_path, controller.url), Orders()):
        await until(lambda: len(after) == 0)
    assert [(report.spool, report.sequence) for report in controller.arrived] == [
        (before.spool, 0),
        (before.spool, 1),
        (after.spool, 2),
    ]
    after.close()


async def test_a_report_that_will_never_be_accepted_is_set_aside_and_the_next_is_sent(
    tmp_path: Path, controller: ControllerDouble, caplog: pytest.LogCaptureFixture
) -> None:
    controller.faults = [error(400, "tenants[3].weight: expected a positive number, found -1")]
    spool = Spool(tmp_path / "spool", PLENTY)
    add(spool)
    add(spool)
    async with delivering(spool, link_settings(tmp_path, controller.url), Orders()) as naps:
        await until(lambda: len(spool) == 0)
    assert sequences(controller) == [1]
    assert naps.seconds == []
    assert "tenants[3].weight" in caplog.text
    assert len(list((tmp_path / "spool" / "rejected").iterdir())) == 1
    spool.close()


async def test_an_overloaded_controller_is_given_the_time_that_it_asks_for(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    controller.faults = [error(503, "busy", **{"Retry-After": "7"}) for _ in range(2)]
    spool = Spool(tmp_path / "spool", PLENTY)
    add(spool)
    async with delivering(spool, link_settings(tmp_path, controller.url), Orders()) as naps:
        await until(lambda: len(spool) == 0)
    assert naps.seconds == [7, 7]
    spool.close()


async def test_pauses_grow_while_the_controller_fails_and_start_anew_after_it_answered(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    controller.faults = [error(500, "no") for _ in range(4)]
    spool = Spool(tmp_path / "spool", PLENTY)
    add(spool)
    async with delivering(spool, link_settings(tmp_path, controller.url), Orders()) as naps:
        await until(lambda: len(spool) == 0)
        controller.faults = [error(500, "no")]
        add(spool)
        await until(lambda: len(spool) == 0)
    assert naps.seconds == [0.25, 0.5, 1.0, 2.0, 0.25]
    spool.close()


async def test_a_revoked_credential_loses_no_report_and_a_new_one_is_taken_up(
    tmp_path: Path, controller: ControllerDouble, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "spool", PLENTY)
    add(spool)
    settings = link_settings(tmp_path, controller.url, "old-credential")
    async with delivering(spool, settings, Orders()) as naps:
        await until(lambda: len(naps.seconds) >= 2)
        link_settings(tmp_path, controller.url)  # enrolled again
        await until(lambda: len(spool) == 0)
    assert sequences(controller) == [0]
    assert "enrol it again" in caplog.text
    assert "old-credential" not in caplog.text
    spool.close()


async def test_an_answer_to_another_report_acknowledges_nothing(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    wrong = (
        b'{"spool":"s","acknowledged_sequence":99,"limits":[],"protocol":1}',
        b"<html>a proxy's page</html>",
        b'{"spool":"s","acknowledged_sequence":0,"limits":[],"protocol":2}',
    )
    controller.faults = [web.Response(body=body) for body in wrong]
    spool = Spool(tmp_path / "spool", PLENTY)
    add(spool)
    async with delivering(spool, link_settings(tmp_path, controller.url), Orders()) as naps:
        await until(lambda: len(spool) == 0)
    assert len(naps.seconds) == 3
    assert sequences(controller) == [0]
    spool.close()


async def test_a_redirect_does_not_carry_the_credential_elsewhere(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    controller.faults = [
        web.Response(status=307, headers={"Location": controller.url + "/agent/v1/reports"})
    ]
    spool = Spool(tmp_path / "spool", PLENTY)
    add(spool)
    async with delivering(spool, link_settings(tmp_path, controller.url), Orders()) as naps:
        await until(lambda: len(spool) == 0)
    assert len(naps.seconds) == 1
    spool.close()


async def test_every_answer_of_a_draining_backlog_brings_the_orders_of_now(
    tmp_path: Path, controller: ControllerDouble
) -> None:
    spool = Spool(tmp_path / "spool", PLENTY)
    for _ in range(5):
        add(spool)
    controller.answers.clear()
    orders = Orders()
    now = [100.0]
    async with delivering(spool, link_settings(tmp_path, controller.url), orders, lambda: now[0]):
        await until(lambda: controller.requests == 1)
        controller.limits = (ORDER,)
        now[0] = 103.0  # the answer took three seconds: the lease counts from the question
        controller.answers.set()
        await asyncio.wait_for(orders.changed.wait(), 5)
        request = orders.request(103.0, places=(), disks=(), capacity=Capacity(cpu_cores=2))
        assert request is not None
        assert [order.order for order in request.orders] == ["o1"]
        assert request.orders[0].remaining_seconds == 57
        assert request.controller_heard_seconds_ago == 3
        await until(lambda: len(spool) == 0)
    spool.close()
