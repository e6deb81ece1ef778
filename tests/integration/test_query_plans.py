"""How SQLite finds the messages of a delivery: not by what most of them are."""

from contextlib import closing, contextmanager

import pytest
from sqlalchemy import event

from campaigns.steps.deliver import deliver
from campaigns.store import messages
from tests.factories import NOON, desk, enrolled

ALL_OF_A_STATE = "ix_messages_due (state=?)"


@contextmanager
def changes(engine):
    """Yield a list of the changes of listed messages, each with SQLite's plan."""
    found = []

    def explain(connection, _cursor, statement, parameters, *_):
        if not statement.startswith("UPDATE messages") or "id IN (" not in statement:
            return
        with closing(connection.connection.driver_connection.cursor()) as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found.append((statement, " / ".join(row[-1] for row in cursor)))

    event.listen(engine, "before_cursor_execute", explain)
    yield found
    event.remove(engine, "before_cursor_execute", explain)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_no_change_of_listed_messages_goes_through_all_of_a_state(
    engine, sessions, ses, clock
):
    enrolled(sessions, [f"acc-{number}" for number in range(100)])
    with changes(engine) as found:
        delivered = deliver(desk(sessions, ses, clock, senders=32))
        with sessions.begin() as session:
            messages.postpone(session, range(1, 101), until=NOON)

    assert delivered.endings == {"accepted": 50}  # the canary share
    assert len({statement for statement, _ in found}) >= 4
    assert [plan for _, plan in found if ALL_OF_A_STATE in plan] == []
