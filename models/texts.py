"""Which text to whom, and what that is worth beside the best single text for all."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from models.outcome_models import Learner
from models.policy import Costs, Gain, folds_of, mean_gain, refuse_few
from models.trial import Numbers, Places, TextTrial, crossed_worth


class TextJudgement(NamedTuple):
    """What choosing each account's text by models is worth.

    Attributes:
        accounts: How many it was judged on, none of which their models learnt from.
        shares: The share of them that would get each text, none first.
        best: The single text that does best for all of them, 0 for none.
        over_best: What is gained over what did best for all in the other folds.
        over_none: What is gained over mailing nobody.
    """

    accounts: int
    shares: tuple[float, ...]
    best: int
    over_best: Gain
    over_none: Gain

    @property
    def is_better(self) -> bool:
        """Whether it is shown to be better than the best single text for all."""
        return self.over_best.low > 0

    @property
    def sentence(self) -> str:
        """What this says, in words."""
        for_all = f"sending text {self.best} to all" if self.best else "mailing nobody"
        if self.is_better:
            return (
                f"A text for each account brings {self.over_best.value:.2%} more of "
                f"all accounts back, net of costs, than {for_all}."
            )
        return f"A text for each account is no better than {for_all}."


def judge_texts(
    model: Any,  # noqa: ANN401 — an uplift model
    trial: TextTrial,
    *,
    costs: Costs = Costs(),  # noqa: B008 — nothing can change it
    confidence: float = 0.95,
    folds: int = 5,
    learner: Learner = "logistic",
    random_state: int = 0,
) -> TextJudgement:
    """Return what a text for each account is worth: folds judged by others' models.

    Args:
        model: Of the uplift of one text over none; not fitted, and it stays so.
        trial: Accounts that were sent a text, or none, by lot.
        costs: Of a mail, the same for all texts.
        confidence: Of each interval.
        folds: How many.
        learner: Of what is expected of accounts.
        random_state: Of the folds.

    Raises:
        ValueError: Fewer than 50 accounts with a text, or without any, came back, or
            stayed away.
    """
    texts = trial.chance.shape[1]
    for text in range(texts):
        name = f"sent text {text}" if text else "not mailed"
        refuse_few(trial.y[trial.text == text], name)
    chosen = np.zeros(len(trial.y), dtype=np.intp)
    over_best, over_none = np.zeros(len(trial.y)), np.zeros(len(trial.y))
    values = np.zeros(texts)
    for others, fold in folds_of(trial.y, trial.text, folds, random_state):
        worth = crossed_worth(
            trial, others, fold, learner=learner, random_state=random_state
        )
        worth[:, 1:] = costs.net(worth[:, 1:] - worth[:, :1]) + worth[:, :1]
        chosen[fold] = _choice(model, trial, others, fold, costs)
        here = np.arange(len(fold))
        mine = worth[here, chosen[fold]]
        over_best[fold] = mine - worth[:, _best_of(trial, others, costs)]
        over_none[fold] = mine - worth[:, 0]
        values += worth.sum(axis=0)
    return TextJudgement(
        accounts=len(trial.y),
        shares=tuple(float(np.mean(chosen == text)) for text in range(texts)),
        best=int(values.argmax()),
        over_best=mean_gain(over_best, confidence),
        over_none=mean_gain(over_none, confidence),
    )


def _choice(
    model: Any,  # noqa: ANN401
    trial: TextTrial,
    others: Places,
    fold: Places,
    costs: Costs,
) -> NDArray[np.intp]:
    """Return the text that models of the other folds would send to each account."""
    gains = np.zeros((len(fold), trial.chance.shape[1]))
    for text in range(1, gains.shape[1]):
        rows = others[np.isin(trial.text[others], (0, text))]
        pair = trial.chance[rows][:, [0, text]]
        fitted = clone(model).fit(
            trial.X[rows],
            trial.y[rows],
            treatment=trial.text[rows] == text,
            propensity=pair[:, 1] / pair.sum(axis=1),
        )
        gains[:, text] = costs.net(fitted.predict(trial.X[fold]))
    best: NDArray[np.intp] = gains.argmax(axis=1)
    return best


def _best_of(trial: TextTrial, others: Places, costs: Costs) -> int:
    """Return the single text that did best for all in the other folds."""
    means = [_mean_of(trial, others, text) for text in range(trial.chance.shape[1])]
    gains = costs.net(np.array(means) - means[0])
    gains[0] = 0.0
    return int(gains.argmax())


def _mean_of(trial: TextTrial, rows: Places, text: int) -> float:
    sent: Numbers = (trial.text[rows] == text) / trial.chance[rows, text]
    return float(np.average(trial.y[rows], weights=sent))
