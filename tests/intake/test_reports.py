from __future__ import annotations

import asyncio
import io

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.storage import reports
from controller.web.agents import MAX_AHEAD_SECONDS
from fairuse_protocol.limits import decode_report_answer
from fairuse_protocol.messages import MessageError
from fairuse_protocol.reports import decode_report
from tests.intake.serving import NOW, Server, body_of, report_of


async def test_a_report_is_stored_judged_and_acknowledged(server: Server) -> None:
    credential = await server.enrol("h1")
    body = body_of("h1", 7)

    answer = await server.send(credential, body)

    assert answer.status == 200
    acknowledged = decode_report_answer(answer.body)
    assert (acknowledged.spool, acknowledged.acknowledged_sequence) == ("s", 7)
    assert acknowledged.limits == ()
    assert [seen.report for seen in server.observed] == [
        msgspec.structs.replace(decode_report(body), tenants=())
    ]
    async with server.services.database.read() as connection:
        assert await reports.since(connection, "h1", 0.0) == [body]
    assert [view.host for view in server.services.desk.hosts()] == ["h1"]


async def test_a_report_in_json_is_stored_in_the_same_form(server: Server) -> None:
    credential = await server.enrol("h1")
    body = msgspec.json.encode(report_of("h1"))

    answer = await server.send(credential, body, **{"Content-Type": "application/json"})

    assert answer.status == 200
    async with server.services.database.read() as connection:
        assert await reports.since(connection, "h1", 0.0) == [body_of("h1")]


async def test_a_report_that_comes_twice_is_acknowledged_twice_and_judged_once(
    server: Server,
) -> None:
    credential = await server.enrol("h1")

    first, again = [await server.send(credential, body_of("h1")) for _ in range(2)]

    assert first.status == again.status == 200
    assert first.body == again.body
    assert await server.stored() == [("h1", 1)]
    assert len(server.observed) == 1


async def test_a_report_that_comes_many_times_at_once_is_judged_once(server: Server) -> None:
    credential = await server.enrol("h1")
    bodies = [body_of("h1", sequence) for sequence in (1, 2, 1, 2, 1, 2, 1, 2)]

    answers = await asyncio.gather(*(server.send(credential, body) for body in bodies))

    assert {answer.status for answer in answers} == {200}
    assert sorted(await server.stored()) == [("h1", 1), ("h1", 2)]
    assert sorted(seen.report.sequence for seen in server.observed) == [1, 2]


async def test_promise_6_a_host_reports_for_itself_only(server: Server) -> None:
    credential = await server.enrol("h1")
    await server.enrol("h2")

    answer = await server.send(credential, body_of("h2"))

    assert answer.status == 403
    assert '"h1"' in answer.json["error"]
    assert '"h2"' in answer.json["error"]
    assert await server.stored() == []
    assert server.observed == []


@pytest.mark.parametrize(
    ("ended_at", "status"),
    [
        pytest.param(NOW + MAX_AHEAD_SECONDS, 200, id="a clock that runs a little ahead"),
        pytest.param(NOW + MAX_AHEAD_SECONDS + 1, 400, id="the future"),
        pytest.param(NOW - 86400 * 400, 200, id="a spool from last year"),
        pytest.param(-5.0, 400, id="before the epoch"),
        pytest.param(float("nan"), 400, id="no time at all"),
        pytest.param(float("inf"), 400, id="never"),
    ],
)
async def test_a_time_that_cannot_be_is_refused(
    server: Server, ended_at: float, status: int
) -> None:
    credential = await server.enrol("h1")

    answer = await server.send(credential, body_of("h1", ended_at=ended_at))

    assert answer.status == status
    assert len(await server.stored()) == (status == 200)
    if status == 400:
        assert answer.json["error"].startswith("started_at: expected")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("text/plain", 415), ("application/json", 400), ("application/msgpack", 200)],
)
async def test_a_body_is_read_as_what_it_says_it_is(
    server: Server, content_type: str, status: int
) -> None:
    credential = await server.enrol("h1")

    answer = await server.send(credential, body_of("h1"), **{"Content-Type": content_type})

    assert answer.status == status


async def test_a_report_too_large_is_refused_and_the_next_is_taken(server: Server) -> None:
    credential = await server.enrol("h1")

    answer = await server.send(credential, io.BytesIO(b"x" * (5 * 2**20)))

    assert answer.status == 413
    assert (await server.send(credential, body_of("h1"))).status == 200


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_report_is_refused_or_is_another_good_one(data: st.DataObject) -> None:
    """What decodes is a whole report again, which the store and the rule can take."""
    body = bytearray(body_of("h1"))
    for _ in range(data.draw(st.integers(1, 4))):
        match data.draw(st.sampled_from(["change", "cut", "insert"])):
            case "change":
                body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
            case "cut":
                del body[data.draw(st.integers(1, len(body))) :]
            case _:
                at = data.draw(st.integers(0, len(body)))
                body[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    try:
        report = decode_report(bytes(body))
    except MessageError:
        return
    # JSON has no way to write what is not a number: evidence made of it could not be read back.
    assert decode_report(msgspec.json.encode(report), json=True) == report


async def test_noise_changes_nothing_and_says_what_was_expected(server: Server) -> None:
    credential = await server.enrol("h1")
    good = body_of("h1")
    noise = (b"", b"\xc1", b"\x80", b"{}", b"\xff" * 100, good[:-1], good[1:], good + b"\x00")

    for body in noise:
        answer = await server.send(credential, body)

        assert answer.status == 400, body
        assert answer.json["error"]
    assert await server.stored() == []
    assert server.observed == []
