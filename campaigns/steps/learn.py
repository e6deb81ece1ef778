"""Learn from what happened: segments, who comes back, and whom a mail helps.

Everything that was learnt is kept with its numbers and the decision about it. A model
takes another's place by a person's word, or, where the settings say so, by itself if
its numbers allow it.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import polars as pl
import structlog

from campaigns import scoring
from campaigns.domain.values import Episode
from campaigns.domain.words import ModelAction, ModelKind
from campaigns.errors import ActionRefusedError, ConfigError, NotFoundError
from campaigns.rules.reactivation import find_return
from campaigns.steps.score import Learning, known_of
from campaigns.steps.settle import telling_kinds
from campaigns.store import imports, model_versions, records, snapshots, trials
from campaigns.store.model_versions import ModelDecision, ModelVersion
from campaigns.store.session import Session

logger = structlog.get_logger(__name__)

JOB: Final = "learn"
_CUTOFFS: Final = 6
_BETWEEN_CUTOFFS: Final = timedelta(days=30)
_MONTHS_BEFORE: Final = 3
_ERROR_A_YEAR: Final = 0.05
_TRIES_A_YEAR: Final = 52
CONFIDENCE: Final = 1 - _ERROR_A_YEAR / _TRIES_A_YEAR
"""Of a judgement that a model may be promoted by: it is sought every week."""

_AS_GOOD: Final = 0.02
_PROPOSED: Final = "is_proposed"
_NO_BETTER_THAN_LUCK: Final = 0.5


class Learnt(NamedTuple):
    """What came of learning one kind of model.

    Attributes:
        kind: Which.
        version: The model; None if nothing could be learnt.
        sentence: What it reaches, or why it could not be learnt.
        action: What was decided about it.
    """

    kind: ModelKind
    version: str | None
    sentence: str
    action: ModelAction | None


def learn(learning: Learning, *, now: datetime) -> list[Learnt]:
    """Learn all that can be, judge it, and propose it or let it be used.

    A model of whom a mail helps that is used, and shows no gain any more, is retired:
    everybody is mailed again.
    """
    return [_one(learning, kind, now=now) for kind in ModelKind]


def _one(learning: Learning, kind: ModelKind, *, now: datetime) -> Learnt:
    try:
        kept = _TRAINED[kind](learning, now)
    except ConfigError as error:
        return Learnt(kind, None, str(error), None)
    metadata = kept.metadata
    with learning.sessions.begin() as session:
        champion = model_versions.active(session, kind)
        _keep(session, kept, now)
        action = _action(kind, metadata, champion)
        if action is ModelAction.PROMOTED and not learning.promotes:
            action = ModelAction.TRAINED
        _decide(session, kind, metadata, action, now)
    logger.info("learnt", kind=kind, version=metadata["version"], action=action)
    return Learnt(kind, metadata["version"], sentence_of(metadata), action)


def _action(
    kind: ModelKind, metadata: dict[str, Any], champion: ModelVersion | None
) -> ModelAction:
    """Return what a model's numbers allow."""
    if is_sound(metadata, champion):
        return ModelAction.PROMOTED
    if kind is ModelKind.UPLIFT and champion is not None:
        is_lost = metadata["judgement"]["over_all"][0] <= 0
        return ModelAction.RETIRED if is_lost else ModelAction.TRAINED
    return ModelAction.TRAINED


def is_sound(metadata: dict[str, Any], champion: ModelVersion | None = None) -> bool:
    """Say whether a model's numbers allow it to be used, in a champion's place."""
    kind = metadata["kind"]
    if metadata.get(_PROPOSED):
        return False
    if kind == ModelKind.UPLIFT:
        return bool(metadata["judgement"]["is_better"])
    if kind == ModelKind.PROPENSITY:
        return bool(metadata["over_luck"][1] > 0)
    if champion is None:
        return True
    found, before = (
        each["metrics"]["balanced_accuracy"] for each in (metadata, champion.metadata)
    )
    return bool(found >= before - _AS_GOOD)


def sentence_of(metadata: dict[str, Any]) -> str:
    """Return in words what a model reaches."""
    kind = metadata["kind"]
    if kind == ModelKind.UPLIFT:
        return str(metadata["judgement"]["sentence"])
    if kind == ModelKind.PROPENSITY:
        auc = metadata["standings"][metadata["chosen"]]["auc"]
        low, high = (_NO_BETTER_THAN_LUCK + each for each in metadata["over_luck"][1:])
        accounts = metadata["judged_on"]["accounts"]
        return (
            f"Of {accounts:,} later accounts it ranks one that came back above one "
            f"that did not in {auc:.0%} of pairs ({low:.0%} to {high:.0%}; luck: 50%)."
        )
    metrics = metadata["metrics"]
    return (
        f"On labels it did not learn from, {metrics['accuracy']:.0%} are right; always "
        f"naming the commonest segment, {metrics['chance']:.0%}."
    )


def train(
    learning: Learning, kind: ModelKind, *, as_of: datetime, now: datetime
) -> dict[str, Any]:
    """Learn one kind of model because a person said so; it is used if it is sound.

    Returns:
        What is known of it.

    Raises:
        ConfigError: There is too little to learn from.
    """
    kept = _TRAINED[kind](learning, as_of)
    with learning.sessions.begin() as session:
        _keep(session, kept, now)
        sound = is_sound(kept.metadata)
        action = ModelAction.PROMOTED if sound else ModelAction.TRAINED
        _decide(session, kind, kept.metadata, action, now)
    return kept.metadata


def _keep(session: Session, kept: scoring.Kept, now: datetime) -> None:
    model_versions.record(
        session,
        kept.metadata["version"],
        kind=kept.metadata["kind"],
        path=kept.folder.name,
        metadata=kept.metadata,
        now=now,
    )


def _decide(
    session: Session,
    kind: ModelKind,
    metadata: dict[str, Any],
    action: ModelAction,
    now: datetime,
) -> None:
    version = None if action is ModelAction.RETIRED else metadata["version"]
    because = sentence_of(metadata)
    model_versions.decide(session, ModelDecision(kind, version, action, now, because))


def promote(
    learning: Learning, beginning: str, *, anyway: bool, now: datetime
) -> ModelVersion:
    """Let a stored model be the one that is used.

    Raises:
        NotFoundError: There is no such model, or more than one.
        ActionRefusedError: Its numbers do not allow it, and `anyway` was not said.
        ModelMismatchError: Its file does not fit this code, or was changed.
    """
    with learning.sessions.begin() as session:
        model = model_versions.find(session, beginning)
        if not anyway and not is_sound(model.metadata):
            raise ActionRefusedError(
                f"{model.version} {_why_not(model.metadata)} Say --anyway to use it "
                "all the same"
            )
        scoring.check(learning.models_folder / model.path, ModelKind(model.kind))
        because = "a person said so" + (", anyway" if anyway else "")
        model_versions.decide(
            session,
            ModelDecision(
                model.kind, model.version, ModelAction.PROMOTED, now, because
            ),
        )
    return model


def _why_not(metadata: dict[str, Any]) -> str:
    if metadata.get(_PROPOSED):
        return "was proposed, and its numbers are its maker's: nobody judged it here."
    return f"is not shown to be better: {sentence_of(metadata)}"


def roll_back(
    learning: Learning, kind: ModelKind, *, now: datetime
) -> ModelVersion | None:
    """Let the model that was used before be used again; None if none was.

    Raises:
        NotFoundError: Nothing was ever decided about models of this kind.
        ModelMismatchError: The earlier model does not fit this code, or was changed.
    """
    with learning.sessions.begin() as session:
        used = [
            each.version
            for each in model_versions.decisions(session, kind)
            if each.action is not ModelAction.TRAINED
        ]
        if not used:
            raise NotFoundError(f"no model of {kind} was ever used")
        earlier = next((v for v in used[1:] if v != used[0]), None)
        model = model_versions.find(session, earlier) if earlier else None
        if model is not None:
            scoring.check(learning.models_folder / model.path, ModelKind(model.kind))
        model_versions.decide(
            session,
            ModelDecision(
                kind, earlier, ModelAction.ROLLED_BACK, now, "a person said so"
            ),
        )
    return model


def _train_segments(learning: Learning, as_of: datetime) -> scoring.Kept:
    segments = scoring.read_segments(learning.segments_file)
    known = known_of(learning, as_of)
    with learning.sessions.begin() as session:
        people = dict(records.labels_before(session, as_of))
    return scoring.train_segments(
        scoring.features_of(known, as_of=as_of),
        people=people,
        segments=segments,
        as_of=as_of,
        earlier=dict(_features_before(learning, as_of)),
        folder=learning.models_folder,
    )


def _features_before(
    learning: Learning, as_of: datetime
) -> Iterator[tuple[datetime, pl.DataFrame]]:
    """Yield what was known of churned accounts in the months before a date."""
    for number in range(1, _MONTHS_BEFORE + 1):
        date = as_of - number * _BETWEEN_CUTOFFS
        known = known_of(learning, date)
        if known.churned_at:
            yield date, scoring.features_of(known, as_of=date)


def _train_propensity(learning: Learning, as_of: datetime) -> scoring.Kept:
    until, windows = unprompted(learning, as_of=as_of)
    return scoring.train_propensity(
        windows,
        horizon=learning.win_back.window,
        as_of=until,
        folder=learning.models_folder,
    )


def unprompted(
    learning: Learning, *, as_of: datetime
) -> tuple[datetime, list[scoring.PastWindow]]:
    """Return up to when returns are known, and who came back unprompted before that.

    Raises:
        ConfigError: Nothing that tells of returns was imported.
    """
    with learning.sessions.begin() as session:
        known_until = imports.known_until(session, telling_kinds(learning.win_back))
        spared = trials.unmailed(session)
    if known_until is None:
        raise ConfigError("who comes back: no usage or subscriptions were imported yet")
    until = min(known_until, as_of)
    return until, list(past_windows(learning, spared, until=until))


def past_windows(
    learning: Learning, spared: trials.Unmailed, *, until: datetime
) -> Iterator[scoring.PastWindow]:
    """Yield churned accounts at past cutoffs, and who came back unprompted since.

    Args:
        learning: What to read.
        spared: Whose returns nobody prompted.
        until: Up to when returns are known.
    """
    horizon = learning.win_back.window
    for number in reversed(range(_CUTOFFS)):
        cutoff = until - horizon - number * _BETWEEN_CUTOFFS
        known = known_of(learning, cutoff)
        came_back = {
            account: back
            for account, back in _returns(learning, known, cutoff, cutoff + horizon)
            if spared.counts(account, cutoff=cutoff, until=cutoff + horizon)
        }
        if came_back:
            features = scoring.features_of(known, as_of=cutoff)
            yield scoring.PastWindow(cutoff, features, came_back)


def _returns(
    learning: Learning, known: scoring.Known, cutoff: datetime, until: datetime
) -> Iterator[tuple[str, bool]]:
    """Yield who was still away at a cutoff, and whether it came back until a moment."""
    with learning.sessions.begin() as session:
        spans = records.spans_by_account(session, before=until)
    used_at = learning.lake.first_used_after(known.churned_at, before=until)
    for account, churned_at in known.churned_at.items():
        back = find_return(
            Episode(0, account, 0, churned_at),
            subscriptions=spans.get(account, ()),
            first_used_at=used_at.get(account),
            now=until,
            definition=learning.win_back,
        )
        if back is None or back.at >= cutoff:
            yield account, back is not None and back.kind.is_win_back


def _train_uplift(learning: Learning, as_of: datetime) -> scoring.Kept:
    return scoring.train_uplift(
        trial_rows(learning, as_of=as_of),
        as_of=as_of,
        folder=learning.models_folder,
        costs=learning.costs,
        confidence=CONFIDENCE,
    )


def trial_rows(learning: Learning, *, as_of: datetime) -> scoring.TrialRows:
    """Return the enrolments whose window closed, with what was known at their scores.

    Raises:
        ConfigError: There is none.
    """
    with learning.sessions.begin() as session:
        rows = [row for row in trials.settled(session) if row.settled_at <= as_of]
        found = {
            moment: snapshots.of(session, moment)
            for moment in sorted({row.as_of for row in rows})
        }
    tables = [
        pl.read_parquet(learning.snapshots_folder / each.file).with_columns(
            as_of=pl.lit(moment)
        )
        for moment, each in found.items()
        if each.definition == scoring.FEATURE_DEFINITION
    ]
    if not tables:
        raise ConfigError("whom a mail helps: no window of an enrolment closed yet")
    outcomes = pl.DataFrame(
        rows, schema=trials.TrialRow._fields, orient="row", infer_schema_length=None
    )
    table = outcomes.join(
        pl.concat(tables), on=["account", "as_of"], how="inner", maintain_order="left"
    )
    return _by_lot(table)


def _by_lot(table: pl.DataFrame) -> scoring.TrialRows:
    """Return the accounts that a lot decided of; of older ones its chances are guessed.

    Raises:
        ConfigError: There are none: nobody was held out, or nobody mailed.
    """
    before = table.filter(pl.col("treated_chance").is_null())["is_treated"].mean()
    chance = pl.coalesce("treated_chance", pl.lit(before, pl.Float64))
    table = table.with_columns(chance).filter((chance > 0) & (chance < 1))
    if table.is_empty():
        raise ConfigError("whom a mail helps: no lot held anybody out")
    return scoring.TrialRows(
        table,
        table["is_treated"].to_list(),
        table["came_back"].to_list(),
        table["treated_chance"].to_list(),
        (1 / table["enrolled_chance"]).to_list(),
    )


def propose(
    learning: Learning, model: object, metadata: dict[str, Any], *, now: datetime
) -> str:
    """Keep a model that was made elsewhere, such as in a notebook; return its version.

    It is used once a person promotes it, anyway: nobody but its maker judged it.

    Raises:
        ActionRefusedError: A model of that version is stored already.
        ModelMismatchError: It holds types that are not trusted, or does not fit.
    """
    # Another name than ours of the same data: what is learnt here never is its file.
    kind, version = ModelKind(metadata["kind"]), f"p{metadata['version']}"
    with learning.sessions.begin() as session:
        if model_versions.is_stored(session, version):
            raise ActionRefusedError(
                f"a model of version {version} is stored already; a changed one needs "
                "another version"
            )
    proposed = {**metadata, "version": version, _PROPOSED: True}
    kept = scoring.keep(model, proposed, learning.models_folder)
    with learning.sessions.begin() as session:
        _keep(session, kept, now)
        _decide(session, kind, kept.metadata, ModelAction.TRAINED, now)
    return version


_TRAINED: Final[dict[ModelKind, Callable[[Learning, datetime], scoring.Kept]]] = {
    ModelKind.SEGMENTS: _train_segments,
    ModelKind.PROPENSITY: _train_propensity,
    ModelKind.UPLIFT: _train_uplift,
}
