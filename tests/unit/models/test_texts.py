"""Which text to whom, beside the best single text for all."""

import numpy as np
import pytest

from models.policy import Costs
from models.texts import judge_texts
from models.trial import TextTrial
from models.uplift import TwoModel

ACCOUNTS = 6_000
NONE, FIRST, SECOND = 0, 1, 2
FREE = Costs(mail=0.0)


def trial_of(helped):
    """Return a trial of two texts by an even lot.

    Args:
        helped: Of a feature, what each text adds to a chance of return of one in ten.
    """
    rng = np.random.default_rng(3)
    X = rng.normal(size=(ACCOUNTS, 2))
    text = rng.integers(3, size=ACCOUNTS)
    added = np.column_stack([np.zeros(ACCOUNTS), *helped(X[:, 0])])
    y = rng.random(ACCOUNTS) < 0.1 + added[np.arange(ACCOUNTS), text]
    return TextTrial(X, y.astype(float), text, np.full((ACCOUNTS, 3), 1 / 3))


def each_its_own(x):
    return 0.25 * (x > 0), 0.25 * (x <= 0)


def one_for_all(x):
    return np.full_like(x, 0.2), np.zeros_like(x)


def nothing(x):
    return np.zeros_like(x), np.zeros_like(x)


def judged(trial, **options):
    return judge_texts(TwoModel(random_state=0), trial, **{"costs": FREE} | options)


def test_where_texts_help_different_accounts_each_gets_its_own():
    found = judged(trial_of(each_its_own))

    assert found.is_better
    # Half of all get the text that they would not have had, which adds a quarter.
    assert found.over_best.value == pytest.approx(0.125, abs=0.02)
    assert found.over_none.value == pytest.approx(0.25, abs=0.02)
    none, first, second = found.shares
    assert none < 0.1
    assert first == pytest.approx(second, abs=0.15)
    assert found.sentence.startswith("A text for each account brings ")


def test_where_one_text_is_best_for_all_nothing_is_claimed():
    found = judged(trial_of(one_for_all))

    assert not found.is_better
    assert found.best == FIRST
    assert found.sentence == (
        "A text for each account is no better than sending text 1 to all."
    )


def test_a_lot_that_favours_who_returns_anyway_is_allowed_for():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(ACCOUNTS, 2))
    # A straight line, which is all that the models can draw, does not see them.
    is_likely = np.abs(X[:, :1]) > 1
    chance = np.where(is_likely, (0.1, 0.2, 0.7), (0.7, 0.2, 0.1))
    text = (rng.random((ACCOUNTS, 1)) > chance.cumsum(axis=1)).sum(axis=1)
    y = rng.random(ACCOUNTS) < np.where(is_likely[:, 0], 0.5, 0.1)

    found = judged(TextTrial(X, y.astype(float), text, chance))

    assert not found.is_better
    assert abs(found.over_none.value) < 0.05
    assert y[text == SECOND].mean() - y[text == NONE].mean() > 0.2


def test_a_mail_that_costs_more_than_it_brings_is_sent_to_nobody():
    found = judged(trial_of(nothing), costs=Costs(mail=0.2))

    assert found.best == NONE
    assert found.shares == (1.0, 0.0, 0.0)
    assert found.over_best == found.over_none == (0.0, 0.0, 0.0)
    assert found.sentence == "A text for each account is no better than mailing nobody."


def test_too_few_returns_of_a_text_are_refused():
    trial = trial_of(one_for_all)
    few = trial._replace(y=np.where(trial.text == SECOND, 0.0, trial.y))

    with pytest.raises(ValueError, match="sent text 2"):
        judged(few)


def test_the_same_trial_is_judged_the_same_twice():
    trial = trial_of(each_its_own)

    assert judged(trial) == judged(trial)
