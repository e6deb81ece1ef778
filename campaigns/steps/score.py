"""Score the accounts that churned as of a date."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import structlog

from campaigns.domain.definitions import ChurnDefinition, WinBackDefinition
from campaigns.domain.words import ModelKind
from campaigns.errors import NotFoundError
from campaigns.rules.churn import find_churn
from campaigns.scoring.known import Known
from campaigns.scoring.scores import scores_of
from campaigns.steps.settle import record_returns
from campaigns.store import (
    campaigns,
    episodes,
    facts,
    instance,
    model_versions,
    records,
    scores,
    snapshots,
)
from campaigns.store.session import Sessions
from campaigns.store.usage import UsageLake

logger = structlog.get_logger(__name__)


class Learning(NamedTuple):
    """What training and scoring work with.

    Attributes:
        sessions: The database.
        lake: The usage events.
        churn: When an account counts as churned.
        win_back: When it counts as won back.
        segments_file: The taxonomy with its starter rules.
        models_folder: Where trained models are kept.
        snapshots_folder: Where the features that scores were made from are kept.
        costs: Of a mail: mail, discount, unsubscribe, unsubscribed.
        promotes: Whether a model whose numbers allow it is used without being asked.
    """

    sessions: Sessions
    lake: UsageLake
    churn: ChurnDefinition
    win_back: WinBackDefinition
    segments_file: Path
    models_folder: Path
    snapshots_folder: Path
    costs: Mapping[str, float] = MappingProxyType({})
    promotes: bool = False


class ScoreResult(NamedTuple):
    """What scoring found.

    Attributes:
        as_of: The date.
        scored: How many accounts were scored.
        opened: How many of them churned since they were last looked at.
        sizes: Accounts by segment.
        drift: The features that moved since the training, as plain values.
        chance: The mean chance to come back unprompted; None if it is not known.
        set_aside: Why a model was not asked, for each that does not fit this code.
    """

    as_of: datetime
    scored: int
    opened: int
    sizes: dict[str, int]
    drift: list[dict[str, Any]]
    chance: float | None
    set_aside: list[str]


def score(learning: Learning, *, as_of: datetime) -> ScoreResult:
    """Find who churned as of a date, open their episodes, and score them.

    Raises:
        NotFoundError: No model was trained yet.
        ModelMismatchError: The used model of segments does not fit this code.
    """
    with learning.sessions.begin() as session:
        models = {kind: model_versions.active(session, kind) for kind in ModelKind}
        model = models.pop(ModelKind.SEGMENTS)
        if model is None:
            raise NotFoundError(
                "no model of segments is used: `winback train segments`"
            )
        pinned = [
            model_versions.find(session, each)
            for each in campaigns.pinned_models(session)
            if each != model.version
        ]
    with learning.sessions.begin() as session:
        # First of all: a return must not be swallowed by a later churn.
        record_returns(session, learning.lake, definition=learning.win_back, now=as_of)
    known = known_of(learning, as_of)
    found = scores_of(
        known,
        as_of=as_of,
        segments={
            each.version: learning.models_folder / each.path
            for each in (model, *pinned)
        },
        others={
            kind: learning.models_folder / each.path
            for kind, each in models.items()
            if each is not None
        },
    )
    with learning.sessions.begin() as session:
        opened = episodes.record_churn(
            session, known.churned_at, definition=learning.churn.version
        )
        instance.forget_returns_known(session)
        for version, made in found.scores.items():
            scores.replace_batch(session, made, as_of=as_of, model=version)
        scores.keep_only(session, found.scores.keys(), as_of=as_of)
        snapshots.keep(
            session,
            learning.snapshots_folder,
            found.features,
            as_of=as_of,
            definition=found.definition,
            drift=found.drift,
        )
        sizes = scores.sizes(session, as_of, model=model.version)
        chance = scores.mean_chance(session, as_of, model=model.version)
    # Once the new one counts, what it took the place of may go.
    with learning.sessions.begin() as session:
        snapshots.sweep(session, learning.snapshots_folder)
    scored = sum(sizes.values())
    logger.info("scored", scored=scored, opened=opened, drifted=len(found.drift))
    for why in found.set_aside:
        logger.error("model_set_aside", because=why)
    return ScoreResult(
        as_of, scored, opened, sizes, found.drift, chance, found.set_aside
    )


def latest(learning: Learning, *, before: datetime) -> datetime | None:
    """Return the date of the latest scores as of `before` or earlier."""
    with learning.sessions.begin() as session:
        return scores.latest_batch(session, before=before)


def known_of(learning: Learning, as_of: datetime) -> Known:
    """Return what is known of the accounts that churned as of a date."""
    last_used = learning.lake.last_used(before=as_of)
    with learning.sessions.begin() as session:
        churned_at = {
            activity.account: moment
            for activity in records.activities(session, last_used, before=as_of)
            if (moment := find_churn(activity, as_of=as_of, definition=learning.churn))
        }
        return Known(
            dict(sorted(churned_at.items())),
            facts.accounts(session),
            facts.subscriptions(session, before=as_of),
            learning.lake.scan(before=as_of),
            facts.tickets(session, before=as_of),
            facts.nps(session, before=as_of),
        )
