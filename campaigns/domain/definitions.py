"""Definitions with a version: what churn means, and what a win-back is.

A report names the version it was made with. Change the meaning, change the version.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from campaigns.domain.words import WIN_BACKS, ReturnKind

STAYS: Final = (7, 14, 30)
"""After how many days it is seen whether who came back is still here."""


@dataclass(frozen=True, slots=True)
class ChurnDefinition:
    """When an account counts as churned.

    Attributes:
        version: The name of this definition, stored with every episode.
        by_subscription: The last paid subscription ended, and not by dunning,
            merger or upgrade.
        silent_for: No use for so long; None where silence does not mean churn.
    """

    version: str
    by_subscription: bool
    silent_for: timedelta | None


@dataclass(frozen=True, slots=True)
class WinBackDefinition:
    """When a churned account counts as won back.

    Attributes:
        version: The name of this definition, stored with every outcome.
        counts: A new paid subscription, use of the product, or either.
        window: How long after enrolment a return is still counted.
        resubscribe_grace: A subscription begun so soon after churn continues the
            old period: it ends the episode but is no win-back.
    """

    version: str
    counts: Literal["paid", "used", "either"]
    window: timedelta
    resubscribe_grace: timedelta

    @property
    def win_backs(self) -> tuple[ReturnKind, ...]:
        """The returns that count, of those that a mail can have brought about."""
        only = {"paid": (ReturnKind.PAID,), "used": (ReturnKind.USED,)}
        return only.get(self.counts, WIN_BACKS)

    @property
    def versions_alike(self) -> str:
        """What versions are like that differ by the window only, for SQL's LIKE.

        An enrolment keeps the window it began with, so by all of them the same counts.
        """
        return f"{self.counts}-%d-grace-{self.resubscribe_grace.days}d"
