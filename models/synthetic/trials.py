"""A made trial whose truth is known: mails help some accounts, and put others off."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.definitions import FEATURE_NAMES
from models.trial import Trial, trial

_TYPICAL = {
    "days_since_last_use": 120.0,
    "days_since_churn": 100.0,
    "active_users_90d": 6.0,
    "integration_failure_rate": 0.2,
    "tickets_90d": 2.0,
    "tenure": 400.0,
    "mrr": 300.0,
}


class MadeTrial(NamedTuple):
    """A trial and its truth.

    Attributes:
        trial: What is seen of it.
        accounts: Ids of the accounts, in order.
        uplift: What a mail truly adds to each account's chance.
    """

    trial: Trial
    accounts: tuple[str, ...]
    uplift: NDArray[np.float64]


def make_trial(
    accounts: int,
    *,
    seed: int,
    harmed_share: float = 0.15,
    harm: float = 0.12,
    help_: float = 0.08,
    share_mailed: float = 0.8,
    fading: float = 0.1,
) -> MadeTrial:
    """Return accounts mailed by lot.

    Those who left after many tickets and failures are put off by a mail. Chances to
    return by themselves fall with the days since the last use.

    Args:
        accounts: How many.
        seed: The same seed makes the same trial.
        harmed_share: The share of accounts that a mail puts off; with 0 all gain alike.
        harm: What a mail takes from their chance.
        help_: What it adds to the others'.
        share_mailed: By lot.
        fading: What being away takes, little by little, from the chance to come back.
    """
    rng = np.random.default_rng(seed)
    X = rng.gamma(2.0, 0.5, size=(accounts, len(FEATURE_NAMES)))
    for name, typical in _TYPICAL.items():
        X[:, FEATURE_NAMES.index(name)] *= typical
    pains = (
        X[:, FEATURE_NAMES.index("tickets_90d")] / 2
        + X[:, FEATURE_NAMES.index("integration_failure_rate")] / 0.2
    )
    is_harmed = pains > np.quantile(pains, 1 - harmed_share)
    uplift = np.where(is_harmed, -harm, help_)
    away = X[:, FEATURE_NAMES.index("days_since_last_use")]
    alone = 0.14 + fading * np.exp(-away / 90)
    mailed = rng.random(accounts) < share_mailed
    back = rng.random(accounts) < alone + mailed * uplift
    rows = trial(X, back.astype(float), mailed, np.full(accounts, share_mailed))
    ids = tuple(f"made-{number:06}" for number in range(accounts))
    return MadeTrial(rows, ids, uplift)
