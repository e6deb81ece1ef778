"""From a holdout to a model of whom a mail helps, judged before anybody goes by it."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from models.balance import balance
from models.definitions import FEATURES
from models.policy import Costs, Judgement, Used, judge
from models.trained import Trained, described, hash_of
from models.trial import Trial
from models.uplift import OneFlag, Selected


class Rule(NamedTuple):
    """The best rule of one feature, in words: what a model has to beat.

    Attributes:
        words: Which feature, above which number.
        uplift_below: What a mail adds to those below.
        uplift_above: What it adds to those above.
        is_selected: Whether it was not beaten, and so is the model; None where an arm
            was too small to compare them.
    """

    words: str
    uplift_below: float
    uplift_above: float
    is_selected: bool | None


def train_uplift(
    trial: Trial,
    accounts: Sequence[str],
    *,
    as_of: datetime,
    costs: Costs = Costs(),  # noqa: B008 — nothing can change it
    confidence: float = 0.95,
    random_state: int = 0,
    used: Used | None = None,
) -> Trained:
    """Learn whom a mail helps, and what going by it is worth.

    Args:
        trial: Accounts that were mailed, or not, by lot, with what is known of them.
        accounts: Their ids, in order.
        as_of: When the last of their windows closed.
        costs: Of a mail.
        confidence: Of the judgement's intervals.
        random_state: Makes folds the same on every run.
        used: The model whose place it would take.

    Raises:
        ValueError: The arms were not made by lot, or too few accounts came back.
    """
    names = [feature.name for feature in FEATURES]
    alike = balance(trial, names)
    if not alike.is_random:
        apart = ", ".join(f"{n} ({d:+.2f} SD)" for n, d in alike.differences.items())
        raise ValueError(
            "the arms differ in what was known before (p = "
            f"{alike.p_value:.1g}): no lot made them, so they teach nothing. They "
            f"differ most in {apart}; find out who was left out of an arm"
        )
    model = Selected(random_state=random_state)
    judged_on = partial(
        judge, model, costs=costs, confidence=confidence, random_state=random_state
    )
    rng = np.random.default_rng(random_state)
    # Drawn anew, with the chances that there were: a lot without any mail behind it.
    drawn = rng.random(len(trial.y)) < trial.chance
    shuffled = trial._replace(mailed=drawn)
    model.fit(*trial)
    metadata = described(
        "uplift",
        model,
        data_hash=hash_of(
            trial.X.tobytes(), trial.y.tobytes(), trial.mailed.tobytes(), *accounts
        ),
        as_of=as_of,
        accounts=len(trial.y),
        mailed=int(trial.mailed.sum()),
        returned=int(trial.y.sum()),
        balance=alike.p_value,
        terms={
            "costs": costs._asdict(),
            "confidence": confidence,
            "judged_against": used and used.version,
        },
        judgement=plain_judgement(judged_on(trial, used=used)),
        rule=_rule(trial, model)._asdict(),
        controls={"judgement_of_shuffled_arms": plain_judgement(judged_on(shuffled))},
    )
    return Trained(model, metadata)


def plain_judgement(judged: Judgement) -> dict[str, Any]:
    """Return a judgement as plain values."""
    return {
        "accounts": judged.accounts,
        "share_mailed": judged.share_mailed,
        "over_all": list(judged.over_all),
        "over_all_weighed": list(judged.over_all_weighed),
        "over_none": list(judged.over_none),
        "all_over_none": list(judged.all_over_none),
        "over_used": judged.over_used and list(judged.over_used),
        "used_over_all": judged.used_over_all and list(judged.used_over_all),
        "qini": float(np.mean(judged.qini)),
        "is_better": judged.is_better,
        "sentence": judged.sentence,
    }


def _rule(trial: Trial, model: Selected) -> Rule:
    flag = OneFlag().fit(*trial)
    is_selected = isinstance(model.model_, OneFlag) if model.errors_.any() else None
    if flag.feature_ < 0:
        words = "no feature leaves enough accounts on both sides"
    else:
        words = f"{FEATURES[flag.feature_].name} above {flag.above_:.4g}"
    below, above = flag.uplifts_
    return Rule(words, below, above, is_selected)
