"""Text as every database takes it."""

from __future__ import annotations

import sqlalchemy as sa


def plain(text: str) -> str:
    """Without NUL, which PostgreSQL refuses: a replacement character stands in its place."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


class PlainText(sa.types.TypeDecorator[str]):
    """A column whose values are made plain, those that are compared with it, too.

    In SQLite as well: what others send us in mails, reports and requests should not be stored in
    one database and end the program with the other.
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """What goes to the database."""
        return None if value is None else plain(value)
