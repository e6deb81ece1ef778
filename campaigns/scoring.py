"""The door to models/ for production: features, training, scores."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from campaigns.domain.values import Score
from campaigns.errors import ConfigError, ModelMismatchError
from campaigns.rules.confidence import segment_or_general
from models.definitions import DEFINITION, FEATURE_NAMES
from models.features import Inputs, features_as_of, used_features
from models.taxonomy import Segment, read_taxonomy, weak_labels

_MOMENT: Final = pl.Datetime("us", "UTC")
_CHURNED: Final[dict[str, Any]] = {"account": pl.String, "churned_at": _MOMENT}
_ACCOUNTS: Final[dict[str, Any]] = {"id": pl.String, "created_at": _MOMENT}
_SUBSCRIPTIONS: Final[dict[str, Any]] = {
    "account": pl.String,
    "plan_is_free": pl.Boolean,
    "seats": pl.Int64,
    "mrr_minor": pl.Int64,
    "discount_minor": pl.Int64,
    "started_at": _MOMENT,
    "ended_at": _MOMENT,
    "end_reason": pl.String,
}
_TICKETS: Final[dict[str, Any]] = {"account": pl.String, "opened_at": _MOMENT}
_NPS: Final[dict[str, Any]] = {"account": pl.String, "at": _MOMENT, "score": pl.Int64}
_MOST_FEATURES_NAMED: Final = 8


class Known(NamedTuple):
    """What features and facts are made from.

    Attributes:
        churned_at: The accounts in question, each with its churn.
        accounts: id and created_at of every account.
        subscriptions: Rows as the store gives them.
        usage: The lake's events.
        tickets: Rows as the store gives them.
        nps: Rows as the store gives them.
    """

    churned_at: Mapping[str, datetime]
    accounts: Sequence[Mapping[str, Any]]
    subscriptions: Sequence[Mapping[str, Any]]
    usage: pl.LazyFrame
    tickets: Sequence[Mapping[str, Any]] = ()
    nps: Sequence[Mapping[str, Any]] = ()

    def inputs(self) -> Inputs:
        """Return the same as lazy frames."""
        churned = {
            "account": list(self.churned_at),
            "churned_at": list(self.churned_at.values()),
        }
        accounts = [{name: row[name] for name in _ACCOUNTS} for row in self.accounts]
        return Inputs(
            pl.LazyFrame(churned, schema=_CHURNED),
            pl.LazyFrame(accounts, schema=_ACCOUNTS),
            self.usage,
            pl.LazyFrame(list(self.subscriptions), schema=_SUBSCRIPTIONS),
            # Where nobody has any, none were imported: then nothing is known.
            pl.LazyFrame(self.tickets, schema=_TICKETS) if self.tickets else None,
            pl.LazyFrame(self.nps, schema=_NPS) if self.nps else None,
        )


def read_segments(path: Path) -> tuple[Segment, ...]:
    """Return the segments in a file.

    Raises:
        ConfigError: The file is not as it should be.
    """
    try:
        return read_taxonomy(path)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def features_of(known: Known, *, as_of: datetime) -> pl.DataFrame:
    """Return one row of features for each churned account."""
    table: pl.DataFrame = features_as_of(known.inputs(), as_of=as_of).to_native()
    return table


def train(
    features: pl.DataFrame,
    *,
    people: Mapping[str, str],
    segments: tuple[Segment, ...],
    as_of: datetime,
    folder: Path,
) -> tuple[Path, dict[str, Any]]:
    """Learn the segments, keep the model, and return its folder and metadata.

    Raises:
        ConfigError: There are too few labels to learn from.
    """
    from models.artifacts import ModelMismatch, load, save
    from models.training import train_segments

    try:
        trained = train_segments(
            features, people=people, rules=weak_labels(features, segments), as_of=as_of
        )
    except ValueError as error:
        raise ConfigError(f"training: {error}") from error
    kept = save(trained.classifier, trained.metadata(), folder)
    try:
        _, metadata = load(
            kept, feature_names=FEATURE_NAMES, feature_definition=DEFINITION
        )
    except ModelMismatch as error:
        raise ModelMismatchError(str(error)) from error
    # Files of the same model differ in bytes: their hash stays beside the file.
    return kept, {name: each for name, each in metadata.items() if name != "sha256"}


class Scored(NamedTuple):
    """What was made of the churned accounts.

    Attributes:
        scores: Segment, confidence, reasons and facts of each.
        features: What they were made from.
        definition: The version of the features' definitions.
        drift: The features that moved since the model was trained, as plain values.
    """

    scores: list[Score]
    features: pl.DataFrame
    definition: str
    drift: list[dict[str, Any]]


def score(known: Known, *, as_of: datetime, model_folder: Path) -> Scored:
    """Return the scores of the churned accounts, and what they were made from.

    Raises:
        ModelMismatchError: The model does not fit this code.
    """
    from models.artifacts import ModelMismatch, load
    from models.drift import find_drift

    try:
        classifier, metadata = load(
            model_folder, feature_names=FEATURE_NAMES, feature_definition=DEFINITION
        )
    except ModelMismatch as error:
        raise ModelMismatchError(str(error)) from error
    features = features_of(known, as_of=as_of)
    drift = [
        each._asdict() for each in find_drift(features, metadata.get("reference", {}))
    ]
    scores = _scores(classifier, features, _facts(known, as_of=as_of))
    return Scored(scores, features, DEFINITION, drift)


def _scores(
    classifier: Any,  # noqa: ANN401 — scikit-learn has no types
    features: pl.DataFrame,
    facts: Mapping[str, dict[str, Any]],
) -> list[Score]:
    from models.training import matrix, reasons

    if features.is_empty():
        return []
    chances = classifier.predict_proba(matrix(features))
    names = [str(name) for name in classifier.classes_]
    likeliest = [names[place] for place in chances.argmax(axis=1)]
    return [
        Score(
            account=account,
            segment=segment_or_general(dict(zip(names, row, strict=True))),
            confidence=float(max(row)),
            reasons=why,
            facts=facts.get(account, {}),
        )
        for account, row, why in zip(
            features["account"],
            chances.tolist(),
            reasons(classifier, features, likeliest),
            strict=True,
        )
    ]


def _facts(known: Known, *, as_of: datetime) -> dict[str, dict[str, Any]]:
    """Return what a mail may mention of each account, as plain values."""
    used: pl.DataFrame = used_features(known.inputs(), as_of=as_of).to_native()
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
