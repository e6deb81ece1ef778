"""Whom to mail, and what that is worth: judged on accounts that were mailed by lot."""

from collections.abc import Iterator
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from models.outcome_models import Learner
from models.qini import qini
from models.trial import Flags, Numbers, Places, Trial, crossed_gains, weighed_gains

_FEWEST_APART: Final = 20
FEWEST_RETURNS: Final = 50
"""With fewer returns in an arm nothing is said: a handful of accounts would decide."""


class Costs(NamedTuple):
    """What a mail costs, counted in win-backs: 0.01 is a hundredth of one.

    Attributes:
        mail: To send one.
        discount: What it offers, given to those that come back because of it.
        unsubscribe: What losing an address for good costs.
        unsubscribed: The share of mails that lose one.
    """

    mail: float = 0.0
    discount: float = 0.0
    unsubscribe: float = 0.0
    unsubscribed: float = 0.0

    @property
    def fixed(self) -> float:
        """What each mail costs, whoever gets it."""
        return self.mail + self.unsubscribe * self.unsubscribed

    def net(self, gain: Numbers) -> Numbers:
        """Return what mailing is worth where it adds `gain` to the chance of return."""
        return gain * (1 - self.discount) - self.fixed


class Gain(NamedTuple):
    """A difference of two policies' values, in win-backs an account, with an interval.

    Attributes:
        value: What it is.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


_WIDEST: Final = (-1.0, 1.0)
"""Where too few tell: no difference of shares is beyond it."""


class Used(NamedTuple):
    """A model that is used already, and what it says of the same accounts.

    Attributes:
        version: Which.
        uplift: What it states of each; None if it can't be asked any more.
        is_later: Whose outcome was known only after it had learnt.
    """

    version: str
    uplift: Numbers | None
    is_later: Flags


class Judgement(NamedTuple):
    """What mailing by a model is worth.

    Attributes:
        accounts: How many it was judged on, none of which its model had learnt from.
        returned: How many of them came back.
        share_mailed: The share of them that the model would mail.
        over_all: What is gained over mailing everybody.
        over_all_weighed: The same by the chances of being mailed alone: no model says
            what to expect (inverse propensity scoring).
        over_none: What is gained over mailing nobody.
        all_over_none: What mailing everybody gains over mailing nobody.
        qini: How well the model puts accounts in order, fold by fold.
        over_used: What is gained over mailing by the model that is used, on accounts
            it cannot have learnt from; None where none is.
        used_over_all: What that one gains over mailing everybody, on the same.
    """

    accounts: int
    returned: int
    share_mailed: float
    over_all: Gain
    over_all_weighed: Gain
    over_none: Gain
    all_over_none: Gain
    qini: tuple[float, ...]
    over_used: Gain | None = None
    used_over_all: Gain | None = None

    @property
    def gains(self) -> bool:
        """Whether it is shown to be better than mailing everybody, and nobody."""
        return self.over_all.low > 0 and self.over_none.low > 0

    @property
    def is_better(self) -> bool:
        """Whether it gains, and is shown to be better than the model that is used."""
        return self.gains and (self.over_used is None or self.over_used.low > 0)

    @property
    def sentence(self) -> str:
        """What this says, in words."""
        if not self.gains:
            return (
                "No gain to be had: choosing whom to mail is no better than mailing "
                "all."
            )
        said = (
            f"Mailing the {self.share_mailed:.0%} whom it helps brings "
            f"{self.over_all.value:.2%} more of all accounts back, net of costs, "
            "than mailing everybody"
        )
        if self.is_better:
            return f"{said}."
        return f"{said}; it is not shown to be better than the model that is used."


def mails_whom(uplift: ArrayLike, costs: Costs, *, budget: int | None = None) -> Flags:
    """Return whom a mail is worth sending to.

    Args:
        uplift: What a mail adds to each account's chance of coming back.
        costs: Of a mail.
        budget: At most so many, those first whom it helps most; None for all.
    """
    worth = costs.net(np.asarray(uplift, dtype=float))
    chosen = worth > 0
    if budget is not None and chosen.sum() > budget:
        order = np.argsort(-worth, kind="stable")
        chosen[order[budget:]] = False
    return chosen


def judge(
    model: Any,  # noqa: ANN401 — an uplift model
    trial: Trial,
    *,
    costs: Costs = Costs(),  # noqa: B008 — nothing can change it
    confidence: float = 0.95,
    folds: int = 5,
    learner: Learner = "logistic",
    random_state: int = 0,
    used: Used | None = None,
) -> Judgement:
    """Return what mailing by a model is worth: each fold judged by the others' model.

    Args:
        model: Not fitted; it stays so.
        trial: Accounts that were mailed, or not, by lot.
        costs: Of a mail.
        confidence: Of each interval.
        folds: How many.
        learner: Of what is expected of accounts.
        random_state: Of the folds.
        used: The model whose place it would take.

    Raises:
        ValueError: Fewer than 50 accounts of an arm came back, or stayed away.
    """
    X, y, mailed, _, weight = trial
    _refuse_few(y, mailed)
    chosen, gain, quality = np.zeros(len(y), bool), np.zeros(len(y)), []
    for others, fold in folds_of(y, mailed, folds, random_state):
        fitted = clone(model).fit(*(each[others] for each in trial))
        uplift = fitted.predict(X[fold])
        chosen[fold] = mails_whom(uplift, costs)
        quality.append(qini(y[fold], uplift, mailed[fold]))
        gain[fold] = crossed_gains(
            trial, others, fold, learner=learner, random_state=random_state
        )
    worth = costs.net(gain)
    everybody = np.ones(len(y), bool)
    over_all, weighed = (
        _apart(chosen - 1.0, each, trial, confidence, everybody)
        for each in (worth, costs.net(weighed_gains(trial)))
    )
    return Judgement(
        accounts=len(y),
        returned=int(y.sum()),
        share_mailed=float(np.average(chosen, weights=weight)),
        over_all=over_all,
        over_all_weighed=weighed,
        over_none=mean_gain(chosen * worth, confidence, weight),
        all_over_none=mean_gain(worth, confidence, weight),
        qini=tuple(quality),
        **_beside(used, chosen, worth, trial, costs, confidence),
    )


def _beside(
    used: Used | None,
    chosen: Flags,
    worth: Numbers,
    trial: Trial,
    costs: Costs,
    confidence: float,
) -> dict[str, Gain]:
    """Return what is gained over the model that is used, and what that one gains."""
    if used is None or used.uplift is None:
        return {}
    later = used.is_later
    mails = mails_whom(used.uplift, costs).astype(float)
    return {
        "over_used": _apart(later * (chosen - mails), worth, trial, confidence, later),
        "used_over_all": _apart(later * (mails - 1), worth, trial, confidence, later),
    }


def _apart(
    apart: Numbers, worth: Numbers, trial: Trial, confidence: float, among: Flags
) -> Gain:
    """Return what is gained by mailing some more, and others not.

    Only those tell anything who are mailed differently: with a handful of them the
    interval would be narrow by luck, so it is as wide as can be.

    Args:
        apart: 1 for each account that is mailed instead of not, −1 the other way round.
        worth: What mailing each is worth.
        trial: The accounts.
        confidence: Of the interval.
        among: Which of them count.
    """
    if among.sum() < 2:  # noqa: PLR2004
        return Gain(0.0, *_WIDEST)
    gain = mean_gain((apart * worth)[among], confidence, trial.weight[among])
    differ = (apart != 0) & among
    if not differ.any() or _tells(trial.y[differ], trial.mailed[differ]):
        return gain
    return Gain(gain.value, *_WIDEST)


def _tells(y: Numbers, mailed: Flags) -> bool:
    """Say whether enough of each arm came back, and enough stayed away."""
    came_back = y > 0
    cells = [came_back == back for back in (True, False)]
    fewest = min((cell & arm).sum() for cell in cells for arm in (mailed, ~mailed))
    return bool(fewest >= _FEWEST_APART)


def _refuse_few(y: Numbers, mailed: Flags) -> None:
    for arm, name in ((mailed, "mailed"), (~mailed, "not mailed")):
        refuse_few(y[arm], name)


def refuse_few(y: Numbers, name: str) -> None:
    """Refuse to say anything of accounts of whom too few came back, or stayed away.

    Raises:
        ValueError: There are fewer than 50 of either; says how many of whom.
    """
    returned = int(y.sum())
    if min(returned, len(y) - returned) < FEWEST_RETURNS:
        raise ValueError(
            f"of the {len(y)} accounts that were {name}, {returned} came back; whom a "
            f"mail helps can be asked once {FEWEST_RETURNS} did, and as many did not"
        )


def folds_of(
    y: Numbers, arm: ArrayLike, folds: int, random_state: int
) -> Iterator[tuple[Places, Places]]:
    """Yield the others and the fold, each with its share of each arm's returns."""
    split = StratifiedKFold(folds, shuffle=True, random_state=random_state)
    groups = 2 * np.asarray(arm, dtype=int) + (y > 0)
    yield from split.split(groups, groups)


def mean_gain(
    values: Numbers, confidence: float, weight: Numbers | None = None
) -> Gain:
    """Return a mean of many accounts' values; normal, as its sum is.

    Args:
        values: Of each account.
        confidence: Of the interval.
        weight: How many accounts each stands for; None for one each. The error is that
            of a ratio of sums (W. Cochran, Sampling Techniques, 1977, section 6.3).
    """
    weight = np.ones(len(values)) if weight is None else weight
    value = float(np.average(values, weights=weight))
    apart = weight * (values - value)
    few = len(values) / (len(values) - 1)
    error = float(np.sqrt(few * np.square(apart).sum()) / weight.sum())
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * error
    return Gain(value, value - reach, value + reach)
