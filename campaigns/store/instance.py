"""This database: who it is, its simulated time, and the event pipeline's pulse."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from campaigns.errors import ActionRefusedError
from campaigns.store.tables.operations import InstanceRow


class Pulse(NamedTuple):
    """What is known of the way from SES to us.

    Attributes:
        queue_empty_at: When the event queue was last seen empty.
        last_send_mailed_at: When the latest mail was taken whose Send event came.
        canary_posted_at: When a canary was last mailed.
    """

    queue_empty_at: datetime | None
    last_send_mailed_at: datetime | None
    canary_posted_at: datetime | None


def create(session: Session, *, name: str, now: datetime) -> None:
    """Name this database, unless it has a name."""
    if session.get(InstanceRow, 1) is None:
        session.add(InstanceRow(id=1, name=name, created_at=now))
        session.flush()


def name(session: Session) -> str:
    """Return this database's name: part of the tags of every mail it sends."""
    return session.get_one(InstanceRow, 1).name


def wait_for_a_person(session: Session, *, because: str, epoch: int) -> None:
    """Let nothing be sent until a person accepts this database, which may be a copy.

    Args:
        session: The transaction.
        because: Why it may be one.
        epoch: How often one was found by now.
    """
    row = session.get_one(InstanceRow, 1)
    row.waits_because, row.epoch = because, epoch


def waits_because(session: Session) -> str | None:
    """Return why this database waits for a person; None if it does not."""
    return session.scalar(select(InstanceRow.waits_because))


def accept(session: Session) -> None:
    """Wait for a person no more."""
    session.execute(update(InstanceRow).values(waits_because=None))


def check_accepted(session: Session) -> None:
    """Refuse what would let mails go out, while a person has to look first.

    Raises:
        ActionRefusedError: This database may be a copy, and nobody accepted it.
    """
    because = waits_because(session)
    if because is not None:
        raise ActionRefusedError(
            f"{because}: see docs/how-to/restore.md; once you know what was mailed and "
            "who said no since, `winback accept-copy` lets it be sent from"
        )


def simulated_until(session: Session) -> datetime | None:
    """Return how far simulated time has come; None where time is ours."""
    return session.scalar(select(InstanceRow.simulated_until))


def simulate_until(session: Session, moment: datetime) -> None:
    """Record how far simulated time has come."""
    session.execute(update(InstanceRow).values(simulated_until=moment))


def pulse(session: Session) -> Pulse:
    """Return the event pipeline's pulse."""
    row = session.get_one(InstanceRow, 1)
    return Pulse(row.queue_empty_at, row.last_send_mailed_at, row.canary_posted_at)


def beat(session: Session, *, now: datetime) -> None:
    """Record that a sender is alive."""
    session.execute(update(InstanceRow).values(alive_at=now))


def alive_at(session: Session) -> datetime | None:
    """Return when a sender was last alive."""
    return session.scalar(select(InstanceRow.alive_at))


def saw_empty_queue(session: Session, *, now: datetime) -> None:
    """Record that the event queue was polled and empty."""
    session.execute(update(InstanceRow).values(queue_empty_at=now))


def post_canary(session: Session, *, now: datetime) -> None:
    """Record that a canary is mailed."""
    session.execute(update(InstanceRow).values(canary_posted_at=now))


def saw_send_event(session: Session, *, mailed_at: datetime) -> None:
    """Record that the Send event of a mail taken at `mailed_at` came."""
    newest = func.coalesce(InstanceRow.last_send_mailed_at, mailed_at)
    session.execute(
        update(InstanceRow)
        .where(newest <= mailed_at)
        .values(last_send_mailed_at=mailed_at)
    )


def returns_known(session: Session) -> tuple[datetime | None, int | None]:
    """Return up to when returns were looked for, and after which import."""
    row = session.get_one(InstanceRow, 1)
    return row.returns_known_until, row.returns_known_import


def forget_returns_known(session: Session) -> None:
    """Have returns looked for from the beginning: episodes were opened or moved."""
    session.execute(update(InstanceRow).values(returns_known_until=None))


def know_returns(
    session: Session, *, until: datetime, after_import: int | None
) -> None:
    """Record up to when returns were looked for, and after which import."""
    session.execute(
        update(InstanceRow).values(
            returns_known_until=until, returns_known_import=after_import
        )
    )
