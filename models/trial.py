"""A trial: accounts that were mailed, or not, by lot, and what came of them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.outcome_models import Learner, chance_model, expected

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]

_FEWEST_IN_ARM = 2


class Trial(NamedTuple):
    """The rows of a trial.

    Attributes:
        X: Features (n_accounts, n_features) as known before the lot.
        y: What came of each account: 0 or 1, or an amount.
        mailed: Whether each was mailed.
        chance: The chance that each had of being mailed.
        weight: How many accounts each stands for: one over its chance of being in the
            trial.
    """

    X: Numbers
    y: Numbers
    mailed: Flags
    chance: Numbers
    weight: Numbers


def trial(
    X: ArrayLike,
    y: ArrayLike,
    treatment: ArrayLike,
    propensity: ArrayLike | None,
    weight: ArrayLike | None = None,
) -> Trial:
    """Return the rows of a trial.

    Args:
        X: Features (n_accounts, n_features).
        y: What came of each account.
        treatment: Whether each was mailed.
        propensity: The chance that each had of being mailed, above 0 and below 1; None
            for the same chance for all.
        weight: How many accounts each stands for; None for one each.

    Raises:
        ValueError: An arm has fewer than two accounts, or a chance is 0 or 1.
    """
    mailed = np.asarray(treatment).astype(bool)
    fewest = min(int(mailed.sum()), int((~mailed).sum()))
    if fewest < _FEWEST_IN_ARM:
        raise ValueError(
            f"an arm has {fewest} accounts; what a mail adds is only seen where some "
            "were mailed and some were not"
        )
    chance = (
        np.full(len(mailed), mailed.mean())
        if propensity is None
        else np.asarray(propensity, dtype=float)
    )
    if not ((chance > 0) & (chance < 1)).all():
        raise ValueError("a chance of being mailed is 0 or 1: that is no lot")
    return Trial(
        np.asarray(X, dtype=float),
        np.asarray(y, dtype=float),
        mailed,
        chance,
        np.ones(len(mailed)) if weight is None else np.asarray(weight, dtype=float),
    )


def crossed_gains(
    trial: Trial,
    others: Places,
    fold: Places,
    *,
    learner: Learner,
    random_state: int | None = None,
) -> Numbers:
    """Return, of each account of a fold, a noisy measure of what a mail adds."""
    worth = crossed_worth(
        of_one_text(trial), others, fold, learner=learner, random_state=random_state
    )
    gains: Numbers = worth[:, 1] - worth[:, 0]
    return gains


def of_one_text(trial: Trial) -> "TextTrial":
    """Return a trial of mails as one of a single text."""
    return TextTrial(
        trial.X,
        trial.y,
        trial.mailed.astype(np.intp),
        np.column_stack([1 - trial.chance, trial.chance]),
    )


def weighed_gains(trial: Trial) -> Numbers:
    """Return a noisier measure, by each account's chance of its arm alone.

    It asks no model what to expect, so none can lead it astray. Source: D. Horvitz and
    D. Thompson, JASA 47 (1952), 663-685.
    """
    mailed, chance = trial.mailed, trial.chance
    gains: Numbers = trial.y * (mailed / chance - ~mailed / (1 - chance))
    return gains


class TextTrial(NamedTuple):
    """The rows of a trial of several texts.

    Attributes:
        X: Features (n_accounts, n_features) as known before the lot.
        y: What came of each account: 0 or 1, or an amount.
        text: Which text each was sent, from 1; 0 for none.
        chance: The chance that each had of each text, none first: (n_accounts, 1 + n).
    """

    X: Numbers
    y: Numbers
    text: Places
    chance: Numbers


def crossed_worth(
    trial: TextTrial,
    others: Places,
    fold: Places,
    *,
    learner: Learner,
    random_state: int | None = None,
) -> Numbers:
    """Return, of each account of a fold, a noisy measure of each text's outcome.

    It is right on average if either the chances are or what models of the other folds
    expect is (doubly robust). Source: J. Robins, A. Rotnitzky and L. Zhao, JASA 89
    (1994); over folds V. Chernozhukov and others, Econometrics Journal 21 (2018).

    Returns:
        (n_accounts of the fold, 1 + n texts), no text first.
    """
    said = np.empty((len(fold), trial.chance.shape[1]))
    for text in range(said.shape[1]):
        rows = others[trial.text[others] == text]
        model = chance_model(
            learner, trial.X[rows], trial.y[rows], random_state=random_state
        )
        said[:, text] = expected(model, trial.X[fold])
    return corrected(trial, fold, said)


def corrected(trial: TextTrial, fold: Places, said: Numbers) -> Numbers:
    """Return what is expected of each account of a fold, set right by what came of it.

    Args:
        trial: All accounts.
        fold: Which of them.
        said: What others' outcomes make expect of each text, none first.
    """
    here = np.arange(len(fold)), trial.text[fold]
    worth = said.copy()
    worth[here] += (trial.y[fold] - said[here]) / trial.chance[fold][here]
    return worth
