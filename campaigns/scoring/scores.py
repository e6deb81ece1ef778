"""Scores of churned accounts, by the models that are used or pinned."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from campaigns.domain.campaign import GENERAL
from campaigns.domain.values import Score
from campaigns.domain.words import ModelKind
from campaigns.errors import ModelMismatchError
from campaigns.rules.confidence import segment_or_general
from campaigns.scoring.files import load
from campaigns.scoring.known import FEATURE_DEFINITION, Known, features_of
from models.features import used_features

if TYPE_CHECKING:
    from models.scores import Models

_MOST_FEATURES_NAMED: Final = 8
_LAST_USE: Final = "days_since_last_use"


class Scored(NamedTuple):
    """What was made of the churned accounts.

    Attributes:
        scores: Of the accounts, some at a time, by each model of segments. They are
            made as they are asked for, once.
        features: What they were made from.
        definition: The version of the features' definitions.
        drift: The features that moved since the model was trained, as plain values.
        set_aside: Why a model was not asked, for each that does not fit this code.
    """

    scores: dict[str, Iterator[list[Score]]]
    features: pl.DataFrame
    definition: str
    drift: list[dict[str, Any]]
    set_aside: list[str]


def scores_of(
    known: Known,
    *,
    as_of: datetime,
    segments: Mapping[str, Path],
    others: Mapping[ModelKind, Path],
) -> Scored:
    """Return the scores of the churned accounts, and what they were made from.

    Args:
        known: What is known of them.
        as_of: The date.
        segments: The folders of the models of segments, by version; the used one first.
        others: Those of the models of chances and uplifts, where there are any.

    Raises:
        ModelMismatchError: The used model of segments does not fit this code. Another
            that does not is set aside.
    """
    from models.drift import find_drift
    from models.scores import Models

    (used_version, used_folder), *pinned = segments.items()
    classifier, metadata = load(used_folder, ModelKind.SEGMENTS)
    set_aside: list[str] = []
    classifiers = {used_version: classifier} | {
        version: found
        for version, folder in pinned
        if (found := _loaded_or_none(folder, ModelKind.SEGMENTS, set_aside))
    }
    opinions = {
        kind: _loaded_or_none(folder, kind, set_aside)
        for kind, folder in others.items()
    }
    features = features_of(known, as_of=as_of)
    used: pl.DataFrame = used_features(known.inputs(), as_of=as_of).to_native()
    drift = [
        each._asdict() for each in find_drift(features, metadata.get("reference", {}))
    ]
    chance, uplift = map(opinions.get, (ModelKind.PROPENSITY, ModelKind.UPLIFT))
    scores = {
        version: _scores(Models(each, chance, uplift), features, used)
        for version, each in classifiers.items()
    }
    return Scored(scores, features, FEATURE_DEFINITION, drift, set_aside)


def _loaded_or_none(folder: Path, kind: str, set_aside: list[str]) -> Any | None:  # noqa: ANN401 — any model
    try:
        return load(folder, kind)[0]
    except ModelMismatchError as error:
        set_aside.append(f"{kind}: {error}")
        return None


def _scores(
    models: "Models", features: pl.DataFrame, used: pl.DataFrame
) -> Iterator[list[Score]]:
    from models.scores import scored
    from models.training import reasons

    names = [str(name) for name in models.segments.classes_]
    for some in scored(models, features):
        is_of_some = pl.col("account").is_in(some.features["account"].implode())
        facts = _facts(used.filter(is_of_some))
        likeliest = [names[place] for place in some.segments.argmax(axis=1)]
        nothing = [None] * len(likeliest)
        was_used = some.features[_LAST_USE].is_not_null().to_list()
        yield [
            Score(
                account=account,
                # A model has an opinion of who never used it, too: that of the average.
                segment=segment_or_general(dict(zip(names, row, strict=True)))
                if is_known
                else GENERAL,
                confidence=float(max(row)),
                reasons=why if is_known else (),
                facts=facts.get(account, {}),
                chance=to_return,
                uplift=added,
            )
            for account, is_known, row, why, to_return, added in zip(
                some.features["account"],
                was_used,
                some.segments.tolist(),
                reasons(models.segments, some.features, likeliest),
                nothing if some.chance is None else some.chance.tolist(),
                nothing if some.uplift is None else some.uplift.tolist(),
                strict=True,
            )
        ]


def _facts(used: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Return what a mail may mention of each account, as plain values."""
    facts: dict[str, dict[str, Any]] = {}
    for row in used.iter_rows(named=True):
        mine = facts.setdefault(
            row["account"],
            {
                "last_used_at": row["last_used_at"].isoformat(),
                "features": [],
                "favourite_feature": row["feature"],
                "favourite_events": row["events"],
                "failing_integration": None,
                "failures": 0,
            },
        )
        if len(mine["features"]) < _MOST_FEATURES_NAMED:
            mine["features"].append(row["feature"])
        if row["failures"] > mine["failures"]:
            mine["failing_integration"] = row["feature"]
            mine["failures"] = row["failures"]
    return facts
