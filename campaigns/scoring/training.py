"""Train models, and keep them; what cannot be learnt is told to people."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import structlog

from campaigns.domain.words import ModelKind
from campaigns.errors import ConfigError, ModelMismatchError
from campaigns.scoring.files import Kept, keep, load
from models.taxonomy import Segment, weak_labels

logger = structlog.get_logger(__name__)

if TYPE_CHECKING:
    from models import policy
    from models import training as segments
    from models.discovery import Discovery
    from models.discovery import Group as Group  # noqa: PLC0414 — for others, too
    from models.taxonomy import Condition as Condition  # noqa: PLC0414
    from models.trial import Trial


class Used(NamedTuple):
    """The model whose place a new one would take.

    Attributes:
        version: Which.
        folder: Where it lies.
        as_of: Nothing later was known to it.
    """

    version: str
    folder: Path
    as_of: datetime

    def load(self, kind: ModelKind) -> Any | None:  # noqa: ANN401 — any model
        """Return it; None where it fits this code no more: then it is not asked."""
        try:
            return load(self.folder, kind)[0]
        except ModelMismatchError as error:
            logger.warning("model_not_asked", version=self.version, because=str(error))
            return None


def train_segments(
    features: pl.DataFrame,
    *,
    people: Mapping[str, str],
    segments: tuple[Segment, ...],
    as_of: datetime,
    earlier: Mapping[datetime, pl.DataFrame],
    folder: Path,
    used: Used | None = None,
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
            used=used and _rival(used),
        )
    return keep(trained.classifier, trained.metadata(), folder)


def _rival(used: Used) -> "segments.Used":
    from models.training import Used

    return Used(used.version, used.load(ModelKind.SEGMENTS), used.as_of)


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
    windows: Sequence[PastWindow],
    *,
    horizon: timedelta,
    as_of: datetime,
    folder: Path,
    confidence: float,
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
            confidence=confidence,
        )  # fmt: skip
    return keep(*trained, folder)


class TrialRows(NamedTuple):
    """Accounts that were mailed, or not, by lot.

    Attributes:
        features: account and features as of their enrolment, one row each, and
            settled_at, when its outcome was found.
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
    used: Used | None = None,
) -> Kept:
    """Learn whom a mail helps, judge it, and keep the model.

    Raises:
        ConfigError: The arms were not made by lot, or too few came back.
    """
    from models import train_uplift as training
    from models.policy import Costs

    with _said("whom a mail helps"):
        trial = rows.trial()
        trained = training.train_uplift(
            trial,
            rows.features["account"].to_list(),
            as_of=as_of,
            costs=Costs(**costs),
            confidence=confidence,
            used=used and _asked(used, trial, rows),
        )
    return keep(*trained, folder)


def _asked(used: Used, trial: "Trial", rows: TrialRows) -> "policy.Used":
    from models.policy import Used

    model = used.load(ModelKind.UPLIFT)
    is_later = (rows.features["settled_at"] > used.as_of).to_numpy()
    uplift = None if model is None else model.predict(trial.X)
    return Used(used.version, uplift, is_later)


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
