"""Whom to leave alone: accounts that no mail is expected to help."""

from typing import NamedTuple

from campaigns.rules.holdout import draw


def lot(key: bytes, episode: int) -> float:
    """Return an absence's lot, from 0 to 1: low ones are tried, the lowest first."""
    return draw(key, "explore", str(episode))


class Policy(NamedTuple):
    """How what is expected of a mail decides.

    Attributes:
        least_uplift: What it has to add to the chance of a return to be worth it.
        exploration_share: Of those it is not worth it for, who is enrolled all the
            same, so that what is expected of them stays put to the test.
    """

    least_uplift: float = 0.0
    exploration_share: float = 0.1

    def leaves_alone(self, uplift: float | None, *, key: bytes, episode: int) -> bool:
        """Say whether an account is left alone in this absence.

        It is asked before arms are looked at, so both arms lose the same accounts, and
        treated against held out stays a comparison by lot. Where nothing is known of
        what a mail adds, nobody is left alone.
        """
        chance = self.chance(uplift)
        return chance < 1 and lot(key, episode) >= chance

    def chance(self, uplift: float | None) -> float:
        """Return the chance with which an account is not left alone."""
        return 1.0 if self.is_worth_it(uplift) else self.exploration_share

    def is_worth_it(self, uplift: float | None) -> bool:
        """Say whether a mail is expected to help enough; so it is if nothing is known.

        >>> Policy(least_uplift=0.01).is_worth_it(0.005)
        False
        """
        return uplift is None or uplift > self.least_uplift
