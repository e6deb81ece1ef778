"""From features and labels to a fitted segment classifier, and back to reasons."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.definitions import FEATURE_NAMES, FEATURES, THEMES
from models.drift import reference_of
from models.evaluation import (
    Against,
    Metrics,
    against,
    cross_validate,
    on_the_last,
    over_luck,
)
from models.segments import SegmentClassifier
from models.trained import described, hash_of

FEWEST_LABELS: Final = 10
"""A segment with fewer labels is left out: it could not be told apart."""

_REASONS: Final = 3
_NOTEWORTHY: Final = 0.25
_AS_GOOD_AS: Final = 0.5
"""Of the strongest feature's, what another of its theme must have to speak for it."""

_FOLDS: Final = 5
_DAYS_AGO: Final = FEATURE_NAMES.index("days_since_churn")
_PLACES: Final = [
    [FEATURE_NAMES.index(name) for name in names] for names in THEMES.values()
]


class Used(NamedTuple):
    """The classifier that is used already.

    Attributes:
        version: Which.
        classifier: Itself; None if it can't be asked any more.
        as_of: Nothing later was known to it.
    """

    version: str
    classifier: SegmentClassifier | None
    as_of: datetime


@dataclass(frozen=True, slots=True)
class TrainedSegments:
    """A fitted classifier with everything that says where it comes from.

    Attributes:
        classifier: Ready to predict.
        labels_by: `people` or `rules`.
        counts: Labels of each segment that was learnt.
        left_out: Labels of each segment that had too few.
        data_hash: Of the rows it learnt from.
        as_of: The date the features were computed for.
        metrics: What it reaches on folds it did not learn from.
        last: What it reaches on the last to leave, from those before; None if they are
            too few.
        stability: Of each earlier date how many accounts there were, and how many of
            them it puts into the same segment by what was known then as by now.
        reference: What the features of all accounts were like then.
        agreement: How many labels of people there were, to how many of those accounts
            the starter rules said something, and how often the same.
        speaks_for: What speaks for each segment most of all.
        shuffled: The share it gets right of labels without meaning.
        judged_against: The version that was used then; None where none was.
        against_used: How it does beside that one; None where it could not be asked.
    """

    classifier: SegmentClassifier
    labels_by: str
    counts: dict[str, int]
    left_out: dict[str, int]
    data_hash: str
    as_of: datetime
    metrics: Metrics
    last: Metrics | None
    stability: list[dict[str, Any]]
    reference: dict[str, Any]
    agreement: dict[str, int]
    speaks_for: dict[str, list[str]]
    shuffled: float
    judged_against: str | None
    against_used: Against | None

    def metadata(self) -> dict[str, Any]:
        """Return what is stored beside the model file, as plain values."""
        return described(
            "segments",
            self.classifier,
            data_hash=self.data_hash,
            as_of=self.as_of,
            terms={"judged_against": self.judged_against},
            classes=[str(name) for name in self.classifier.classes_],
            labels_by=self.labels_by,
            labels=self.counts,
            left_out=self.left_out,
            is_calibrated=self.classifier.is_calibrated_,
            metrics=self.metrics._asdict(),
            over_luck=list(over_luck(self.metrics)),
            against_used=self.against_used
            and {
                **self.against_used._asdict(),
                "is_better": self.against_used.is_better,
                "is_worse": self.against_used.is_worse,
            },
            metrics_of_the_last=self.last and self.last._asdict(),
            stability=self.stability,
            rules_against_people=self.agreement,
            reasons=self.speaks_for,
            controls={"shuffled_labels": self.shuffled},
            reference=self.reference,
        )


def train_segments(
    features: pl.DataFrame,
    *,
    people: Mapping[str, str],
    rules: Mapping[str, str],
    as_of: datetime,
    earlier: Mapping[datetime, pl.DataFrame] = MappingProxyType({}),
    random_state: int = 0,
    used: Used | None = None,
) -> TrainedSegments:
    """Learn segments from labels that people gave or, failing these, from rules.

    People's labels are used alone if they tell at least two segments apart.

    Args:
        features: The columns account and FEATURE_NAMES, as of `as_of`.
        people: Segment by account, from people.
        rules: Segment by account, from starter rules.
        as_of: The date of the features.
        earlier: The same columns as of earlier dates, to say how stable segments are.
        random_state: Makes the folds the same on every run.
        used: The classifier whose place it would take.

    Raises:
        ValueError: Neither has two segments with enough labels.
    """
    known = set(features["account"].to_list())
    for labels_by, labels in (("people", people), ("rules", rules)):  # noqa: B007
        counts = Counter(s for account, s in labels.items() if account in known)
        enough = {s: n for s, n in sorted(counts.items()) if n >= FEWEST_LABELS}
        if len(enough) >= 2:  # noqa: PLR2004
            break
    else:
        raise ValueError(
            f"fewer than two segments have {FEWEST_LABELS} labels (by rules: "
            f"{dict(sorted(counts.items()))}); import labels, or widen the starter "
            "rules in segments.toml"
        )
    chosen = {account: s for account, s in labels.items() if s in enough}
    rows = features.filter(pl.col("account").is_in(list(chosen))).sort("account")
    X = matrix(rows)
    y = np.array([chosen[account] for account in rows["account"]])
    classifier = SegmentClassifier(random_state=random_state)
    shuffled = np.random.default_rng(random_state).permutation(y)
    metrics, given = cross_validate(
        classifier, X, y, folds=_FOLDS, random_state=random_state
    )
    fitted = classifier.fit(X, y)
    return TrainedSegments(
        classifier=fitted,
        labels_by=labels_by,
        counts=enough,
        left_out={s: n for s, n in sorted(counts.items()) if s not in enough},
        data_hash=hash_of(X.tobytes(), *rows["account"], *y),
        as_of=as_of,
        metrics=metrics,
        last=on_the_last(classifier, X, y, X[:, _DAYS_AGO]),
        stability=[
            {"as_of": date.isoformat(), **_same(fitted, table, features)}
            for date, table in sorted(earlier.items(), reverse=True)
        ],
        reference=reference_of(features),
        agreement=_agreement(people, rules),
        speaks_for=_speaks_for(fitted),
        shuffled=cross_validate(
            classifier, X, shuffled, folds=_FOLDS, random_state=random_state
        )[0].accuracy,
        judged_against=used and used.version,
        against_used=used and _against(used, X, y, given, as_of=as_of),
    )


def _against(
    used: Used,
    X: NDArray[np.float64],
    y: NDArray[Any],
    given: NDArray[Any],
    *,
    as_of: datetime,
) -> Against | None:
    """Compare on accounts that left since: the used one cannot have seen them."""
    if used.classifier is None:
        return None
    is_later = X[:, _DAYS_AGO] < (as_of - used.as_of) / timedelta(days=1)
    rows = X[is_later]
    by_used = used.classifier.predict(rows) if len(rows) else y[:0]
    return against(used.version, y[is_later], given[is_later], by_used)


def _same(
    classifier: SegmentClassifier, earlier: pl.DataFrame, now: pl.DataFrame
) -> dict[str, int]:
    """Return how many accounts have the segment they had by what was known earlier."""
    both = earlier.select("account").join(now.select("account"), on="account")
    if both.is_empty():
        return {"accounts": 0, "same": 0}
    then, today = (
        classifier.predict(matrix(both.join(each, on="account", maintain_order="left")))
        for each in (earlier, now)
    )
    return {"accounts": both.height, "same": int((then == today).sum())}


def _agreement(people: Mapping[str, str], rules: Mapping[str, str]) -> dict[str, int]:
    both = [account for account in people if account in rules]
    same = sum(people[account] == rules[account] for account in both)
    return {"people": len(people), "rules_too": len(both), "same": same}


def _speaks_for(classifier: SegmentClassifier) -> dict[str, list[str]]:
    """Return the features whose high or low values speak most for each segment."""
    coefficients = classifier.linear_model()[-1].coef_
    if len(coefficients) == 1:  # two segments share one row
        coefficients = np.vstack([-coefficients[0], coefficients[0]])
    found = {}
    for segment, row in zip(classifier.classes_, coefficients, strict=True):
        strongest = np.argsort(-np.abs(row), kind="stable")[:_REASONS]
        found[str(segment)] = [
            f"{'high' if row[at] > 0 else 'low'} {FEATURE_NAMES[at]}"
            for at in strongest
        ]
    return found


def matrix(features: pl.DataFrame) -> NDArray[np.float64]:
    """Return the features as an array (n_accounts, n_features), null as NaN."""
    return features.select(FEATURE_NAMES).to_numpy().astype(np.float64)


def reasons(
    classifier: SegmentClassifier, features: pl.DataFrame, segments: Sequence[str]
) -> list[tuple[str, ...]]:
    """Return, for each row, in words what spoke most for its segment.

    Only themes that speak for the segment by a noteworthy amount are named, at most
    three, the strongest first, each by its feature that speaks most of those whose
    words are true. A missing number is never named.
    """
    X = matrix(features)
    terms = np.where(np.isnan(X), 0.0, classifier.contributions(X, segments))
    scaled = classifier.standardised(X)
    sums = np.column_stack([terms[:, places].sum(axis=1) for places in _PLACES])
    found = []
    for row in range(len(X)):
        strongest = np.argsort(-sums[row], kind="stable")[:_REASONS]
        said = [
            _said(_PLACES[theme], terms[row], X[row], scaled[row])
            for theme in strongest
            if sums[row, theme] > _NOTEWORTHY
        ]
        found.append(tuple(each for each in said if each is not None))
    return found


def _said(
    places: Sequence[int],
    terms: NDArray[np.float64],
    values: NDArray[np.float64],
    scaled: NDArray[np.float64],
) -> str | None:
    """Return in words what speaks most of a theme's features; None if none can."""
    least = max(terms[place] for place in places) * _AS_GOOD_AS
    for place in sorted(places, key=lambda place: -terms[place]):
        if terms[place] <= 0 or terms[place] < least:
            return None
        words = FEATURES[place].said(values[place], is_high=bool(scaled[place] > 0))
        if words is not None:
            return words
    return None
