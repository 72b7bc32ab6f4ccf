"""What no constraint can say, in each database's own words.

The timeline only grows: erasing takes what a line said and its salt, of a case that is erased as a
whole; what holds the line in its place stays. And contact comes first (promise 1): an order by the
rule needs a notice that the customer's channel has accepted.
"""

from __future__ import annotations

_SQLITE = (
    """
    CREATE TRIGGER timeline_only_grows BEFORE UPDATE ON case_events
    WHEN NOT (
        NEW.text IS '' AND NEW.salt IS x'' AND NEW.id IS OLD.id AND NEW.case_id IS OLD.case_id
        AND NEW.at IS OLD.at AND NEW.event IS OLD.event AND NEW.actor IS OLD.actor
        AND OLD.event IS NOT 'erased'
        AND NEW.digest IS OLD.digest AND NEW.link IS OLD.link
        AND EXISTS (
            SELECT 1 FROM cases WHERE id = OLD.case_id AND state = 'closed' AND tenant = ''
        )
    )
    BEGIN SELECT RAISE(ABORT, 'timeline_only_grows: a line of a history is never changed'); END
    """,
    """
    CREATE TRIGGER timeline_keeps_lines BEFORE DELETE ON case_events
    BEGIN SELECT RAISE(ABORT, 'timeline_keeps_lines: a line of a history is never deleted'); END
    """,
    """
    CREATE TRIGGER contact_came_first BEFORE INSERT ON orders
    WHEN NEW.ordered_by IS NULL AND NOT EXISTS (
        SELECT 1 FROM notices
        WHERE id = NEW.notice_id AND case_id = NEW.case_id AND accepted_at IS NOT NULL
    )
    BEGIN SELECT RAISE(ABORT, 'contact_came_first: no channel has accepted the notice'); END
    """,
)

_POSTGRESQL = (
    """
    CREATE FUNCTION timeline_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.text = '' AND NEW.salt = '' AND OLD.event <> 'erased'
            AND (NEW.id, NEW.case_id, NEW.at, NEW.event, NEW.actor, NEW.digest, NEW.link)
                = (OLD.id, OLD.case_id, OLD.at, OLD.event, OLD.actor, OLD.digest, OLD.link)
            AND EXISTS (
                SELECT 1 FROM cases WHERE id = OLD.case_id AND state = 'closed' AND tenant = ''
            )
        THEN RETURN NEW; END IF;
        RAISE integrity_constraint_violation
            USING MESSAGE = 'timeline_only_grows: a line of a history is never changed';
    END $$
    """,
    """
    CREATE TRIGGER timeline_only_grows BEFORE UPDATE ON case_events
    FOR EACH ROW EXECUTE PROCEDURE timeline_only_grows()
    """,
    """
    CREATE FUNCTION timeline_keeps_lines() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE integrity_constraint_violation
            USING MESSAGE = 'timeline_keeps_lines: a line of a history is never deleted';
    END $$
    """,
    """
    CREATE TRIGGER timeline_keeps_lines BEFORE DELETE OR TRUNCATE ON case_events
    FOR EACH STATEMENT EXECUTE PROCEDURE timeline_keeps_lines()
    """,
    """
    CREATE FUNCTION contact_came_first() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.ordered_by IS NULL AND NOT EXISTS (
            SELECT 1 FROM notices
            WHERE id = NEW.notice_id AND case_id = NEW.case_id AND accepted_at IS NOT NULL
        ) THEN
            RAISE integrity_constraint_violation
                USING MESSAGE = 'contact_came_first: no channel has accepted the notice';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER contact_came_first BEFORE INSERT ON orders
    FOR EACH ROW EXECUTE PROCEDURE contact_came_first()
    """,
)

BY_DIALECT = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
"""Each statement by itself, in the order in which they are made."""
