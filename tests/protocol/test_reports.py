"""Reports are decoded strictly: what is wrong is named, and refused whole."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairuse_protocol.messages import MessageError
from fairuse_protocol.reports import decode_report, encode_report
from tests.fairshare.reports import cpu_report

REPORT = cpu_report(1000.0, {"t1": 1.0, "t2": 2.0})


def changed(**fields: Any) -> bytes:
    return msgspec.msgpack.encode({**msgspec.to_builtins(REPORT), **fields})


def test_a_report_survives_the_wire_in_both_forms() -> None:
    assert decode_report(encode_report(REPORT)) == REPORT
    assert decode_report(msgspec.json.encode(REPORT), json=True) == REPORT


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"seconds": "ten"}, "$.seconds", id="wrong type"),
        pytest.param({"colour": "red"}, "colour", id="unknown field"),
        pytest.param({"seconds": 0.0}, "seconds: expected more than 0", id="no time"),
        pytest.param({"seconds": float("nan")}, "$.seconds", id="not a number"),
        pytest.param({"started_at": float("nan")}, "started_at", id="no instant"),
        pytest.param({"sequence": -1}, "$.sequence", id="negative number"),
        pytest.param({"spool": "s\0"}, "without NUL", id="a spool that no database takes"),
        pytest.param({"tenants": [{"tenant": "\0"}]}, "without NUL", id="nor a tenant"),
        pytest.param({"protocol": 99}, "protocol: this controller speaks version 1", id="newer"),
        pytest.param(
            {"tenants": [{"tenant": "t", "weight": 0.0}]}, "tenants[0].weight", id="no weight"
        ),
        pytest.param(
            {"tenants": [{"tenant": "t", "cpu_seconds": -1.0}]}, "tenants[0]", id="negative use"
        ),
        pytest.param(
            {"tenants": [{"tenant": "t", "cpu_seconds": float("nan")}]},
            "tenants[0]",
            id="use that is not a number",
        ),
        pytest.param(
            {"tenants": [{"tenant": "t"}, {"tenant": "t"}]}, "tenants", id="a tenant twice"
        ),
        pytest.param({"tenants": [{"tenant": 5}]}, "$.tenants[0].tenant", id="a nameless tenant"),
    ],
)
def test_a_bad_report_is_refused_and_the_field_is_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(MessageError) as refused:
        decode_report(changed(**fields))
    assert said in str(refused.value)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_do_worse_than_a_clear_refusal(body: bytes) -> None:
    with pytest.raises(MessageError):
        decode_report(body)


@given(st.data())
def test_a_flipped_byte_is_refused_or_gives_another_valid_report(data: st.DataObject) -> None:
    body = bytearray(encode_report(REPORT))
    position = data.draw(st.integers(0, len(body) - 1))
    body[position] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MessageError):
        report = decode_report(bytes(body))
        assert decode_report(encode_report(report)) == report


@given(st.data())
def test_a_report_that_is_cut_short_is_refused(data: st.DataObject) -> None:
    body = encode_report(REPORT)
    with pytest.raises(MessageError):
        decode_report(body[: data.draw(st.integers(0, len(body) - 1))])
