"""How every message is shaped and decoded, and what a message that cannot be accepted says."""

from __future__ import annotations

from typing import Literal, TypeVar, dataclass_transform

import msgspec

PROTOCOL_VERSION = 1
"""Raised when a message changes so that an older program could not understand it."""

JSON_CONTENT_TYPE = "application/json"
MSGPACK_CONTENT_TYPE = "application/msgpack"

Resource = Literal["cpu", "disk", "net-in", "net-out"]
RESOURCES: tuple[Resource, ...] = ("cpu", "disk", "net-in", "net-out")

MessageType = TypeVar("MessageType")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of all messages: immutable, named fields only, unknown fields refused.

    Immutable values cannot form a cycle, so the garbage collector need not look at them: with
    it, taking a report in took three times as long.
    """


class MessageError(ValueError):
    """A message was refused whole. The text names the field and what was expected there."""


class Allowance(Message, omit_defaults=True):
    """An amount of one resource per second. The fields that fit the resource are set.

    `cpu` uses `cores`; `net-in` and `net-out` use `bytes_per_second`; `disk` uses
    `bytes_per_second`, `operations_per_second`, or both (reads and writes together).
    """

    cores: float | None = None
    bytes_per_second: float | None = None
    operations_per_second: float | None = None


def decode_with(
    decoder: msgspec.json.Decoder[MessageType] | msgspec.msgpack.Decoder[MessageType],
    body: bytes | bytearray | memoryview,
) -> MessageType:
    """Decode strictly, or raise MessageError with the field's path."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MessageError(str(error)) from error
