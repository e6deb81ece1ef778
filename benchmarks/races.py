"""Two that enrol one cohort at the same moment, with and without unique keys."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError

from campaigns.steps.enrol import enrol
from campaigns.store import (
    campaigns,
    cohorts,
    instance,
)
from campaigns.store.schema import upgrade
from campaigns.store.session import Sessions, make_sessions, open_engine
from campaigns.store.tables.delivery import MessageRow
from tests.factories import NOON, add_account, campaign, churn, programme

ACCOUNTS = 200
_KEYED = ("enrolments", "messages")


def planned_twice(url: str, *, has_keys: bool = True) -> int:
    """Let two schedulers enrol one cohort at once; return how many are mailed twice.

    Args:
        url: An empty PostgreSQL database.
        has_keys: Whether the ledger keeps its unique keys.
    """
    engine = open_engine(url)
    upgrade(engine)
    sessions = make_sessions(engine)
    _churned(sessions)
    if not has_keys:
        _drop_keys(engine)
    with sessions.begin() as session:
        (cohort,) = cohorts.due_cohorts(session, now=NOON)
    together = Barrier(2)

    def enrol_too(_number: int) -> None:
        together.wait()
        try:
            enrol(sessions, cohort, programme=programme(), now=NOON)
        except IntegrityError:
            return  # the other one was first: all of this one's is undone

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(enrol_too, range(2)))
    with sessions.begin() as session:
        mails = Counter(session.scalars(select(MessageRow.address_hash)))
    engine.dispose()
    assert len(mails) == ACCOUNTS
    return sum(count > 1 for count in mails.values())


def _churned(sessions: Sessions) -> None:
    accounts = [f"acc-{number}" for number in range(ACCOUNTS)]
    with sessions.begin() as session:
        instance.create(session, name="bench", now=NOON)
        for account in accounts:
            add_account(session, account)
        churn(session, *accounts)
        campaigns.apply(session, campaign(), now=NOON)
        campaigns.launch(session, "spring", cohorts=[NOON], now=NOON)


def _drop_keys(engine) -> None:
    with engine.begin() as connection:
        # An account's first enrolment is kept apart by the row of its arm already.
        connection.execute(text("ALTER TABLE holdout DROP CONSTRAINT pk_holdout"))
        for table in _KEYED:
            for key in inspect(connection).get_unique_constraints(table):
                drop = f'ALTER TABLE {table} DROP CONSTRAINT "{key["name"]}" CASCADE'
                connection.execute(text(drop))
