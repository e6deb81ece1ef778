"""The door to models/ for production: features, training, scores."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from campaigns.domain.campaign import GENERAL
from campaigns.domain.values import Score
from campaigns.domain.words import ModelKind
from campaigns.errors import ConfigError, ModelMismatchError
from campaigns.rules.confidence import segment_or_general
from models.definitions import DEFINITION, FEATURE_NAMES
from models.features import Inputs, features_as_of, used_features
from models.taxonomy import Segment, read_taxonomy, weak_labels

if TYPE_CHECKING:
    from models.discovery import Discovery
    from models.discovery import Group as Group  # noqa: PLC0414 — for others, too
    from models.scores import Models
    from models.taxonomy import Condition as Condition  # noqa: PLC0414
    from models.trial import Trial

FEATURE_DEFINITION: Final = DEFINITION
"""The version of what features mean; those of another are not comparable."""

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
_LAST_USE: Final = "days_since_last_use"


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


class Kept(NamedTuple):
    """A model that was trained and kept: its folder, and what is known of it."""

    folder: Path
    metadata: dict[str, Any]


def train_segments(
    features: pl.DataFrame,
    *,
    people: Mapping[str, str],
    segments: tuple[Segment, ...],
    as_of: datetime,
    earlier: Mapping[datetime, pl.DataFrame],
    folder: Path,
) -> Kept:
    """Learn the segments, and keep the model.

    Raises:
        ConfigError: There are too few labels to learn from.
    """
    from models import training

    with _said("training"):
        trained = training.train_segments(
            features,
            people=people,
            rules=weak_labels(features, segments),
            as_of=as_of,
            earlier=earlier,
        )
    return keep(trained.classifier, trained.metadata(), folder)


class PastWindow(NamedTuple):
    """Churned accounts at a cutoff, and who of them came back unprompted.

    Attributes:
        cutoff: The date of the features.
        features: As of the cutoff.
        came_back: Of each account that counts.
    """

    cutoff: datetime
    features: pl.DataFrame
    came_back: Mapping[str, bool]


def train_propensity(
    windows: Sequence[PastWindow], *, horizon: timedelta, as_of: datetime, folder: Path
) -> Kept:
    """Learn who comes back unprompted, and keep the model.

    Raises:
        ConfigError: Too few came back to learn from.
    """
    from models.train_returns import train_returns, window_of

    with _said("who comes back"):
        trained = train_returns(
            [window_of(each.features, each.came_back, cutoff=each.cutoff)
             for each in windows],
            horizon=horizon,
            as_of=as_of,
        )  # fmt: skip
    return keep(*trained, folder)


class TrialRows(NamedTuple):
    """Accounts that were mailed, or not, by lot.

    Attributes:
        features: account and features as of their enrolment, one row each.
        mailed: Whether each was mailed.
        came_back: Whether each came back.
        chance: The chance that each had of being mailed.
        weight: How many accounts each stands for.
    """

    features: pl.DataFrame
    mailed: Sequence[bool]
    came_back: Sequence[bool]
    chance: Sequence[float]
    weight: Sequence[float]

    def trial(self) -> "Trial":
        """Return the same as models learn from it.

        Raises:
            ValueError: An arm has fewer than two accounts.
        """
        from models.training import matrix
        from models.trial import trial

        known = matrix(self.features)
        return trial(known, self.came_back, self.mailed, self.chance, self.weight)


def train_uplift(
    rows: TrialRows,
    *,
    as_of: datetime,
    folder: Path,
    costs: Mapping[str, float],
    confidence: float,
) -> Kept:
    """Learn whom a mail helps, judge it, and keep the model.

    Raises:
        ConfigError: The arms were not made by lot, or too few came back.
    """
    from models import train_uplift as training
    from models.policy import Costs

    with _said("whom a mail helps"):
        trained = training.train_uplift(
            rows.trial(),
            rows.features["account"].to_list(),
            as_of=as_of,
            costs=Costs(**costs),
            confidence=confidence,
        )
    return keep(*trained, folder)


def discover(features: pl.DataFrame) -> "Discovery":
    """Return groups of accounts that used the product alike, with proposed names.

    Raises:
        ConfigError: There are too few accounts.
    """
    from models import discovery

    with _said("groups"):
        return discovery.discover(features)


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Turn what cannot be learnt into an error that people are told."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{what}: {error}") from error


def keep(model: object, metadata: dict[str, Any], folder: Path) -> Kept:
    """Keep a model, and make sure that it can be loaded again.

    Raises:
        ModelMismatchError: It holds types that are not trusted, or does not fit.
    """
    from models.artifacts import save

    with _told():
        path = save(model, metadata, folder)
    try:
        # As it will be loaded: what cannot be is found now.
        _, stored = _loaded(path, metadata["kind"])
    except ModelMismatchError:
        shutil.rmtree(path)
        raise
    # Files of the same model differ in bytes: their hash stays beside the file.
    return Kept(path, {name: each for name, each in stored.items() if name != "sha256"})


def _loaded(folder: Path, kind: str) -> tuple[Any, dict[str, Any]]:
    from models.artifacts import load

    with _told():
        return load(
            folder,
            kind=kind,
            feature_names=FEATURE_NAMES,
            feature_definition=DEFINITION,
        )


@contextmanager
def _told() -> Iterator[None]:
    """Turn what is wrong with a model's file into an error that people are told."""
    from models.artifacts import ModelMismatch

    try:
        yield
    except ModelMismatch as error:
        raise ModelMismatchError(str(error)) from error


def check(folder: Path, kind: ModelKind) -> None:
    """Load a model of a kind as scoring would.

    Raises:
        ModelMismatchError: It does not fit this code, is another, or was changed.
    """
    _loaded(folder, kind)


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


def score(
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
    classifier, metadata = _loaded(used_folder, ModelKind.SEGMENTS)
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
    return Scored(scores, features, DEFINITION, drift, set_aside)


def _loaded_or_none(folder: Path, kind: str, set_aside: list[str]) -> Any | None:  # noqa: ANN401 — any model
    try:
        return _loaded(folder, kind)[0]
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
