"""What was agreed with a customer: a larger share, an exemption, or a load test with consent.

Data only, so that the command line can read it too. Nothing is agreed backwards: an agreement
counts from when it was recorded at the earliest, and until it was withdrawn, so that an interval
is judged the same whenever that is done.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, structs

from fairuse_protocol.messages import Message, MessageError

AgreementKind = Literal["share", "exempt", "test"]
AgreedResource = Literal["", "cpu", "disk", "net-in", "net-out"]
AgreementState = Literal["to-come", "in-force", "ended", "withdrawn"]

MAX_TEST_SECONDS = 14 * 86400.0
"""A consent is for a test. What goes on for longer is use, and wants an agreement."""

Moment = Annotated[float, Meta(ge=0, lt=1e11, description="Seconds since the epoch, UTC.")]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]


class AgreementTerms(Message):
    """What is agreed with a tenant, before it is recorded."""

    tenant: Name
    kind: AgreementKind
    ends_at: Moment
    agreed_with: Annotated[Name, Meta(description="Who at the customer.")]
    begins_at: Moment | None = None
    """None: from now on."""
    host: Annotated[str, Meta(max_length=255, description="Empty: on every host.")] = ""
    resource: Annotated[AgreedResource, Meta(description="Empty: every resource.")] = ""
    share: float | None = None
    """Of the host, more than 0 and at most 1: with the kind "share", and only then."""
    note: Annotated[str, Meta(max_length=1000)] = ""


class Agreement(Message):
    """One agreement with a tenant, as recorded. It is never changed, only withdrawn, by name.

    MessageError when its terms make no sense, naming the field.
    """

    id: str
    tenant: str
    kind: AgreementKind
    """share: may use that share of the host's capacity. exempt: no case. test: no case, for a load
    test that the customer has prior consent for."""
    begins_at: float
    ends_at: float
    agreed_with: str
    """Who at the customer."""
    recorded_by: str
    recorded_at: float
    host: str = ""
    """Empty: on every host."""
    resource: AgreedResource = ""
    """Empty: every resource."""
    share: float | None = None
    """Of the host's capacity, more than 0 and at most 1. Of the kind share only."""
    note: str = ""
    withdrawn_at: float | None = None
    withdrawn_by: str = ""
    withdrawn_because: str = ""

    def __post_init__(self) -> None:
        """Refuse terms that say nothing, or two things."""
        if self.kind == "share" and (self.share is None or not 0 < self.share <= 1):
            raise MessageError(
                'share: expected more than 0 and at most 1 (of the host) for the kind "share", '
                f"found {'none' if self.share is None else f'{self.share:g}'}"
            )
        if self.kind != "share" and self.share is not None:
            raise MessageError(
                f'share: expected none for the kind "{self.kind}", found {self.share:g}'
            )
        if not self.ends_at > max(self.begins_at, self.recorded_at):
            raise MessageError(
                "ends_at: expected a time that is still to come and after begins_at, found "
                f"{self.ends_at:.0f} with begins_at {self.begins_at:.0f}"
            )
        if self.kind == "test" and self.ends_at - self.begins_at > MAX_TEST_SECONDS:
            raise MessageError(
                f"ends_at: expected at most {MAX_TEST_SECONDS / 86400:g} days of load test, found "
                f"{(self.ends_at - self.begins_at) / 86400:.1f}; consent to each test by itself"
            )

    def covers(self, host: str, ended_at: float) -> bool:
        """Whether an interval of that host counts as agreed: it ended inside the agreement.

        What was judged before the recording or the withdrawal is judged the same after it.
        """
        until = self.ends_at if self.withdrawn_at is None else min(self.ends_at, self.withdrawn_at)
        since = max(self.begins_at, self.recorded_at)
        return self.host in ("", host) and since < ended_at <= until

    def state(self, now: float) -> AgreementState:
        """Where it stands."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        if now > self.ends_at:
            return "ended"
        return "to-come" if now < self.begins_at else "in-force"


def recorded(terms: AgreementTerms, agreement_id: str, *, by: str, now: float) -> Agreement:
    """The agreement that these terms make; MessageError names the field that makes no sense."""
    fields = structs.asdict(terms)
    if terms.begins_at is None:
        fields["begins_at"] = now
    return Agreement(id=agreement_id, recorded_by=by, recorded_at=now, **fields)
