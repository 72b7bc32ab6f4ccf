"""What the database itself refuses of an agreement, whoever writes it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from controller.storage import schema
from controller.storage.database import Database

ROW = {
    "id": "a1",
    "tenant": "t1",
    "kind": "share",
    "begins_at": 100.0,
    "ends_at": 200.0,
    "agreed_with": "Hanne",
    "recorded_by": "otto",
    "recorded_at": 100.0,
    "host": "",
    "resource": "",
    "share": 0.5,
    "note": "",
    "withdrawn_at": None,
    "withdrawn_by": "",
    "withdrawn_because": "",
}


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"kind": "favour", "share": None}, "known_kind"),
        ({"share": None}, "share_of_a_share_agreement"),
        ({"share": 0.0}, "share_of_a_share_agreement"),
        ({"share": 1.01}, "share_of_a_share_agreement"),
        ({"kind": "exempt"}, "share_of_a_share_agreement"),
        ({"ends_at": 100.0}, "ends_after_it_begins"),
        ({"kind": "test", "share": None, "ends_at": 1_209_701.0}, "brief_test"),
        ({"agreed_with": ""}, "agreed_between_somebody"),
        ({"withdrawn_at": 150.0}, "withdrawn_by_name"),
        ({"withdrawn_by": "anna"}, "withdrawn_by_name"),
    ],
)
async def test_an_agreement_that_makes_no_sense_is_refused_by_the_database(
    database: Database, changes: dict[str, object], constraint: str
) -> None:
    with pytest.raises(sa.exc.IntegrityError, match=constraint):
        async with database.write() as connection:
            await connection.execute(schema.agreements.insert().values(ROW | changes))
    async with database.write() as connection:
        await connection.execute(schema.agreements.insert().values(ROW))
