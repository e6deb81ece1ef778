"""Whether the arms that are measured are the arms that were drawn."""

from math import sqrt
from typing import Final, NamedTuple

from campaigns.domain.values import ArmCount

_ALARM: Final = 0.001
_BOTH_TAILS_AND_90_POWER: Final = 3.2905 + 1.2816


class Loss(NamedTuple):
    """Accounts that were enrolled and are missing where returns are counted.

    Attributes:
        treated: Share of the treated arm that is missing.
        holdout: Share of the holdout that is missing.
        p_value: Chance of so unequal a loss if both arms lose alike.
    """

    treated: float
    holdout: float
    p_value: float

    @property
    def is_alarming(self) -> bool:
        """Whether the arms can no longer be compared."""
        return self.p_value < _ALARM


def unequal_loss(treated: ArmCount, holdout: ArmCount) -> Loss | None:
    """Return what each arm lost; None if an arm is empty.

    A lift between arms that lost different accounts is no lift. Loss that falls on both
    alike does little harm, so the exact test is of its being unequal.
    Source: R. A. Fisher, Journal of the Royal Statistical Society 98 (1935), 39-82.

    Args:
        treated: Accounts enrolled; as `returned`, those that reached measurement.
        holdout: The same of the holdout.

    >>> unequal_loss(ArmCount(4000, 3800), ArmCount(1000, 1000)).is_alarming
    True
    """
    if not treated.accounts or not holdout.accounts:
        return None
    missing = [each.accounts - each.returned for each in (treated, holdout)]
    if not any(missing):
        return Loss(0.0, 0.0, p_value=1.0)
    from scipy.stats import fisher_exact  # takes 0.5 s to import

    table = [[treated.returned, missing[0]], [holdout.returned, missing[1]]]
    p_value = float(fisher_exact(table).pvalue)
    return Loss(missing[0] / treated.accounts, missing[1] / holdout.accounts, p_value)


class ArmSizes(NamedTuple):
    """Whether the sizes of arms are what was asked for.

    Attributes:
        p_value: Chance of sizes so far from it.
        findable_loss: The least share of either arm whose loss would have been found
            in nine cases of ten.
    """

    p_value: float
    findable_loss: float

    @property
    def is_alarming(self) -> bool:
        """Whether something other than chance made the sizes."""
        return self.p_value < _ALARM


def arm_sizes(treated: int, holdout: int, *, holdout_share: float) -> ArmSizes | None:
    """Return whether two arms have the sizes they were to have; None if both are empty.

    For files that do not say who was drawn: there a loss is only seen in the sizes.
    Source: K. Pearson's chi-square; as a check of experiments, A. Fabijan et al.,
    KDD 2019.

    >>> arm_sizes(4612, 488, holdout_share=0.1)
    ArmSizes(p_value=0.304..., findable_loss=0.21...)
    """
    from scipy.stats import chi2

    total = treated + holdout
    if not total:
        return None
    expected = holdout_share * total
    variance = expected * (1 - holdout_share)
    p_value = float(chi2.sf((holdout - expected) ** 2 / variance, 1))
    return ArmSizes(p_value, min(_BOTH_TAILS_AND_90_POWER / sqrt(variance), 1.0))
