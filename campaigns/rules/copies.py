"""When a database is a copy: it lacks what was mailed, or who said no, since."""

from typing import Final, NamedTuple


class Mark(NamedTuple):
    """How far a database had come; all numbers only grow, while it is not restored.

    Attributes:
        instance: Whose mark it is.
        attempt: The number of its latest attempt.
        changes: How many transactions told it of events, noes, returns or imports.
        epoch: How often it was found restored: a copy that is restored twice is known
            by it the second time.
    """

    instance: str
    attempt: int
    changes: int
    epoch: int = 0


NOBODYS: Final = Mark("", attempt=0, changes=0)
"""What a mark says that cannot be understood."""


def furthest(one: Mark, other: Mark) -> Mark:
    """Return the mark that an instance's two marks make together.

    Numbers of different epochs are not to be compared: the later epoch's hold.

    >>> furthest(Mark("a", 9, 2), Mark("a", 7, 3))
    Mark(instance='a', attempt=9, changes=3, epoch=0)
    >>> furthest(Mark("a", 9, 2), Mark("a", 7, 3, epoch=1))
    Mark(instance='a', attempt=7, changes=3, epoch=1)
    """
    if one.epoch != other.epoch:
        return max(one, other, key=lambda mark: mark.epoch)
    return one._replace(
        attempt=max(one.attempt, other.attempt), changes=max(one.changes, other.changes)
    )


def behind(mark: Mark, here: Mark) -> str | None:
    """Return what a database that came `here` does not know below the mark, or None."""
    if mark == NOBODYS:
        return (
            "it cannot be understood how far this database had come: it may be a copy"
        )
    if mark.instance != here.instance:
        return "this workspace sent from another database"
    if here.epoch < mark.epoch:
        return "this database was restored from a copy that was restored before"
    if here.epoch > mark.epoch:
        return None  # it was found to be one, elsewhere, and a person was asked
    lost, forgotten = mark.attempt - here.attempt, mark.changes - here.changes
    if lost > 0 or forgotten > 0:
        return (
            "this database was restored, or its process ended amid a commit: it does "
            f"not know of the last {max(0, lost)} posts and {max(0, forgotten)} "
            "changes (events, noes, returns, imports, pauses)"
        )
    return None
