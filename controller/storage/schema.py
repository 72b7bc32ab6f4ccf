"""The tables. Times are seconds since the epoch, UTC; documents are JSON text of msgspec structs.

What a promise needs is a constraint here wherever a database can say it.
"""

from __future__ import annotations

import sqlalchemy as sa

from controller.storage import triggers
from controller.storage.plain_text import PlainText

metadata = sa.MetaData()

_COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""What goes on for years at thousands a minute. SQLite's integers are of any size."""

hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("host", PlainText, primary_key=True),
    sa.Column("credential_hash", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("enrolled_at", sa.Float, nullable=False),
    sa.Column("revoked_at", sa.Float),
)

enrolment_tokens = sa.Table(
    "enrolment_tokens",
    metadata,
    sa.Column("token_hash", sa.LargeBinary, primary_key=True),
    sa.Column("host", PlainText, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("used_at", sa.Float),
)

api_tokens = sa.Table(
    "api_tokens",
    metadata,
    sa.Column("token_hash", sa.LargeBinary, primary_key=True),
    sa.Column("name", PlainText, nullable=False, unique=True),
    sa.Column("role", PlainText, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("revoked_at", sa.Float),
    sa.CheckConstraint("role IN ('viewer', 'operator', 'directory')", name="known_role"),
)

reports = sa.Table(
    "reports",
    metadata,
    sa.Column("id", _COUNTED, primary_key=True),
    sa.Column("host", PlainText, nullable=False),
    sa.Column("spool", PlainText, nullable=False),
    sa.Column("sequence", _COUNTED, nullable=False),
    sa.Column("ended_at", sa.Float, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("host", "spool", "sequence", name="report_counted_once"),
    sa.Index("reports_by_host_and_time", "host", "ended_at"),
)

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("id", PlainText, primary_key=True),
    sa.Column("host", PlainText, nullable=False),
    sa.Column("tenant", PlainText, nullable=False),
    sa.Column("resource", PlainText, nullable=False),
    sa.Column("state", PlainText, nullable=False),
    sa.Column("opened_at", sa.Float, nullable=False),
    sa.Column("closed_at", sa.Float),
    sa.Column("due_at", sa.Float),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("document", PlainText, nullable=False),
    sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed_has_a_time"),
    sa.Index(
        "one_open_case",
        "host",
        "tenant",
        "resource",
        unique=True,
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    ),
    sa.Index("cases_by_due_time", "due_at"),
    sa.Index("cases_by_closing_time", "closed_at"),
    sa.Index("cases_by_tenant", "tenant"),
)

case_events = sa.Table(
    "case_events",
    metadata,
    sa.Column("id", _COUNTED, primary_key=True),
    sa.Column("case_id", PlainText, sa.ForeignKey("cases.id"), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("event", PlainText, nullable=False),
    sa.Column("actor", PlainText, nullable=False),
    sa.Column("text", PlainText, nullable=False),
    # What holds the line in its place; see chain.py.
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("link", sa.LargeBinary, nullable=False),
    sa.Index("events_by_case", "case_id", "id"),
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("id", PlainText, primary_key=True),
    sa.Column("case_id", PlainText, sa.ForeignKey("cases.id"), nullable=False),
    sa.Column("kind", PlainText, nullable=False),
    sa.Column("queued_at", sa.Float, nullable=False),
    sa.Column("next_try_at", sa.Float),
    sa.Column("tries", sa.Integer, nullable=False, default=0),
    sa.Column("accepted_at", sa.Float),
    sa.Column("failed_at", sa.Float),
    sa.Column("channel", PlainText),
    sa.Column("answer", PlainText, nullable=False, default=""),
    sa.Column("document", PlainText, nullable=False),
    # The letter that it goes out in, which has the id of the first notice in it; decided once.
    sa.Column("letter", PlainText),
    sa.Column("sending_since", sa.Float),
    # Mail addresses, one a line: whose server accepted it, and where it came back from.
    sa.Column("sent_to", PlainText, nullable=False, server_default=sa.text("''")),
    sa.Column("bounced", PlainText, nullable=False, server_default=sa.text("''")),
    sa.UniqueConstraint("case_id", "id", name="notice_of_its_case"),
    sa.Index("notices_by_due_time", "next_try_at"),
    sa.Index("notices_by_letter", "letter"),
)

delivery_tries = sa.Table(
    "delivery_tries",
    metadata,
    sa.Column("id", _COUNTED, primary_key=True),
    sa.Column("letter", PlainText, sa.ForeignKey("notices.id"), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("contact", PlainText, nullable=False),
    sa.Column("channel", PlainText, nullable=False),
    sa.Column("outcome", PlainText, nullable=False),
    sa.Column("answer", PlainText, nullable=False),
    sa.CheckConstraint(
        "outcome IN ('accepted', 'deferred', 'refused', 'bounced')", name="known_outcome"
    ),
    sa.Index("delivery_tries_by_letter", "letter", "id"),
)

mails = sa.Table(
    "mails",
    metadata,
    # The mail's fingerprint: the same mail is taken once.
    sa.Column("id", PlainText, primary_key=True),
    sa.Column("case_id", PlainText, sa.ForeignKey("cases.id"), nullable=False),
    # The letter that it is about: what servers say, and answers to one about several cases.
    sa.Column("letter", PlainText, sa.ForeignKey("notices.id")),
    sa.Column("received_at", sa.Float, nullable=False),
    # As it came in, until it is judged.
    sa.Column("raw", sa.LargeBinary),
    sa.Column("outcome", PlainText),
    sa.Column("sender", PlainText, nullable=False, server_default=sa.text("''")),
    sa.Column("subject", PlainText, nullable=False, server_default=sa.text("''")),
    sa.Column("text", PlainText, nullable=False, server_default=sa.text("''")),
    sa.CheckConstraint("(raw IS NULL) = (outcome IS NOT NULL)", name="raw_until_judged"),
    sa.Index("mails_by_case", "case_id", "received_at"),
    sa.Index("mails_by_letter", "letter"),
    sa.Index(
        "mails_to_judge",
        "received_at",
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    ),
)

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", PlainText, primary_key=True),
    sa.Column("case_id", PlainText, sa.ForeignKey("cases.id"), nullable=False),
    sa.Column("host", PlainText, nullable=False),
    sa.Column("tenant", PlainText, nullable=False),
    sa.Column("resource", PlainText, nullable=False),
    sa.Column("issued_at", sa.Float, nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
    # When its host first said that it stands; one that no host confirmed limited nobody.
    sa.Column("confirmed_at", sa.Float),
    sa.Column("ended_at", sa.Float),
    sa.Column("notice_id", PlainText),
    sa.Column("ordered_by", PlainText),
    sa.Column("reason", PlainText, nullable=False),
    sa.Column("document", PlainText, nullable=False),
    sa.ForeignKeyConstraint(
        ["case_id", "notice_id"], ["notices.case_id", "notices.id"], name="notice_of_this_case"
    ),
    # Promise 1: a notice about this very case, or an operator by name with a reason.
    sa.CheckConstraint(
        "notice_id IS NOT NULL OR (ordered_by IS NOT NULL AND length(reason) > 0)",
        name="contact_first",
    ),
    sa.Index("orders_by_host", "host", "ended_at"),
    sa.Index("orders_by_confirmation", "confirmed_at"),
)

suspensions = sa.Table(
    "suspensions",
    metadata,
    sa.Column("id", PlainText, primary_key=True),
    sa.Column("case_id", PlainText, sa.ForeignKey("cases.id"), nullable=False),
    sa.Column("host", PlainText, nullable=False),
    sa.Column("tenant", PlainText, nullable=False),
    sa.Column("ordered_by", PlainText, nullable=False),
    sa.Column("reason", PlainText, nullable=False),
    sa.Column("ordered_at", sa.Float, nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("confirmed_at", sa.Float),
    sa.Column("ended_at", sa.Float),
    sa.CheckConstraint("length(ordered_by) > 0 AND length(reason) > 0", name="suspended_by_name"),
)

switches = sa.Table(
    "switches",
    metadata,
    sa.Column("name", PlainText, primary_key=True),
    sa.Column("value", PlainText, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.Column("changed_by", PlainText, nullable=False),
)

agreements = sa.Table(
    "agreements",
    metadata,
    sa.Column("id", PlainText, primary_key=True),
    sa.Column("tenant", PlainText, nullable=False),
    sa.Column("kind", PlainText, nullable=False),
    sa.Column("begins_at", sa.Float, nullable=False),
    sa.Column("ends_at", sa.Float, nullable=False),
    sa.Column("agreed_with", PlainText, nullable=False),
    sa.Column("recorded_by", PlainText, nullable=False),
    sa.Column("recorded_at", sa.Float, nullable=False),
    sa.Column("host", PlainText, nullable=False),
    sa.Column("resource", PlainText, nullable=False),
    sa.Column("share", sa.Float),
    sa.Column("note", PlainText, nullable=False),
    sa.Column("withdrawn_at", sa.Float),
    sa.Column("withdrawn_by", PlainText, nullable=False),
    sa.Column("withdrawn_because", PlainText, nullable=False),
    sa.CheckConstraint("kind IN ('share', 'exempt', 'test')", name="known_kind"),
    sa.CheckConstraint(
        "(kind = 'share') = (share IS NOT NULL) AND (share IS NULL OR (share > 0 AND share <= 1))",
        name="share_of_a_share_agreement",
    ),
    sa.CheckConstraint("ends_at > begins_at", name="ends_after_it_begins"),
    # 14 days, as in fairshare/agreement.py.
    sa.CheckConstraint("kind <> 'test' OR ends_at - begins_at <= 1209600", name="brief_test"),
    sa.CheckConstraint(
        "length(tenant) > 0 AND length(agreed_with) > 0 AND length(recorded_by) > 0",
        name="agreed_between_somebody",
    ),
    sa.CheckConstraint(
        "(withdrawn_at IS NOT NULL) = (length(withdrawn_by) > 0)", name="withdrawn_by_name"
    ),
)

habits = sa.Table(
    "habits",
    metadata,
    sa.Column("host", PlainText, primary_key=True),
    sa.Column("hour_of_week", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("tenant", PlainText, primary_key=True),
    # In each resource's own unit. A column for each: they are measured and asked for together.
    sa.Column("cpu", sa.Float, nullable=False),
    sa.Column("disk", sa.Float, nullable=False),
    sa.Column("net_in", sa.Float, nullable=False),
    sa.Column("net_out", sa.Float, nullable=False),
    sa.Column("measured_seconds", sa.Float, nullable=False),
    sa.Column("weeks", sa.Integer, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.CheckConstraint("hour_of_week >= 0 AND hour_of_week < 168", name="hour_of_a_week"),
    sa.CheckConstraint("measured_seconds > 0 AND weeks > 0", name="was_measured"),
    # An hour of a host lies together, and nothing is kept twice.
    sqlite_with_rowid=False,
)

announcements = sa.Table(
    "announcements",
    metadata,
    sa.Column("id", PlainText, primary_key=True),
    sa.Column("tenant", PlainText, nullable=False),
    sa.Column("kind", PlainText, nullable=False),
    # What it is about: a version of a policy, an agreement.
    sa.Column("about", PlainText, nullable=False),
    sa.Column("queued_at", sa.Float, nullable=False),
    # As of a notice: moved on by the time in which nothing was to be sent.
    sa.Column("sending_since", sa.Float, nullable=False),
    sa.Column("next_try_at", sa.Float),
    sa.Column("tries", sa.Integer, nullable=False, default=0),
    sa.Column("accepted_at", sa.Float),
    sa.Column("failed_at", sa.Float),
    sa.Column("channel", PlainText),
    sa.Column("answer", PlainText, nullable=False, default=""),
    sa.Column("document", PlainText, nullable=False),
    # Promise 5: nobody is told the same twice.
    sa.UniqueConstraint("tenant", "kind", "about", name="announced_once"),
    sa.Index("announcements_by_due_time", "next_try_at"),
)

pushed_tenants = sa.Table(
    "pushed_tenants",
    metadata,
    sa.Column("tenant", PlainText, primary_key=True),
    # NULL: it was removed. The row stays, without a person in it, so that `revision` only grows.
    sa.Column("document", PlainText),
    # Of the whole table, one higher with each change.
    sa.Column("revision", sa.Integer, nullable=False, unique=True),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.Column("changed_by", PlainText, nullable=False),
    sa.CheckConstraint("length(tenant) > 0 AND length(changed_by) > 0", name="pushed_by_name"),
)

for _dialect, _statements in triggers.BY_DIALECT.items():
    for _statement in _statements:
        _ddl = sa.DDL(_statement)  # type: ignore[no-untyped-call]  # SQLAlchemy left it without types
        sa.event.listen(metadata, "after_create", _ddl.execute_if(dialect=_dialect))
