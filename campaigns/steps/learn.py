"""Learn from what happened: segments, who comes back, and whom a mail helps.

Everything that was learnt is kept with its numbers and the decision about it. A model
takes another's place by a person's word, or, where the settings say so, by itself if
its numbers allow it.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

import structlog

from campaigns.domain.words import ModelAction, ModelKind
from campaigns.errors import ActionRefusedError, ConfigError, NotFoundError
from campaigns.scoring import files
from campaigns.steps.score import Learning
from campaigns.steps.teach import TEACHERS
from campaigns.store import model_versions
from campaigns.store.model_versions import ModelDecision, ModelVersion
from campaigns.store.session import Session

logger = structlog.get_logger(__name__)

JOB: Final = "learn"
_PROPOSED: Final = "is_proposed"
_NO_BETTER_THAN_LUCK: Final = 0.5
_UNKNOWN: Final = (0.0, -1.0, 1.0)


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
        kept = TEACHERS[kind](learning, now)
    except ConfigError as error:
        return Learnt(kind, None, str(error), None)
    metadata = kept.metadata
    with learning.sessions.begin() as session:
        champion = model_versions.active(session, kind)
        _keep(session, kept, now)
        action = _action(kind, metadata, champion)
        may_promote = learning.promotes and not _was_rolled_back(session, kind)
        if action is ModelAction.PROMOTED and not may_promote:
            action = ModelAction.TRAINED
        _decide(session, kind, metadata, action, now)
    logger.info("learnt", kind=kind, version=metadata["version"], action=action)
    said = sentence_of(metadata) + _forgotten(metadata, champion)
    return Learnt(kind, metadata["version"], said, action)


def _action(
    kind: ModelKind, metadata: dict[str, Any], champion: ModelVersion | None
) -> ModelAction:
    """Return what a model's numbers allow by themselves."""
    if dropped(metadata, champion):
        return ModelAction.TRAINED
    if _may_be_used(metadata, champion):
        # A refresh of segments that is as good changes who is called what for nothing.
        beside = metadata.get("against_used")
        is_shown = kind is not ModelKind.SEGMENTS or not beside or beside["is_better"]
        return ModelAction.PROMOTED if is_shown else ModelAction.TRAINED
    if kind is ModelKind.UPLIFT and champion is not None:
        is_lost = _is_lost(metadata["judgement"])
        return ModelAction.RETIRED if is_lost else ModelAction.TRAINED
    return ModelAction.TRAINED


def _is_lost(judgement: dict[str, Any]) -> bool:
    """Say whether choosing gains nothing any more, or the model in use does harm."""
    used = judgement["used_over_all"]
    return judgement["over_all"][0] <= 0 or (used is not None and used[2] < 0)


def _may_be_used(metadata: dict[str, Any], champion: ModelVersion | None) -> bool:
    """Say whether a model's numbers allow it to be used, in a champion's place.

    They tell so only if it was judged beside that one, and knows no less.
    """
    if not is_sound(metadata):
        return False
    if champion is None or champion.version == metadata["version"]:
        return True
    as_of, before = (_as_of(each) for each in (metadata, champion.metadata))
    judged_against = metadata.get("judged_against", champion.version)
    return judged_against == champion.version and as_of >= before


def dropped(metadata: dict[str, Any], champion: ModelVersion | None) -> list[str]:
    """Return the segments that the one in use tells apart and this one does not.

    Its numbers are about its own segments: they do not show what it has forgotten.
    """
    known = champion.metadata.get("classes", ()) if champion else ()
    return sorted(set(known) - set(metadata.get("classes", ())))


def _forgotten(metadata: dict[str, Any], champion: ModelVersion | None) -> str:
    gone = ", ".join(dropped(metadata, champion))
    return (
        f" It does not know {gone} any more, which the used one does." if gone else ""
    )


def _as_of(metadata: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(metadata["as_of"])


def _was_rolled_back(session: Session, kind: ModelKind) -> bool:
    """Say whether a person's word was the last: then only a person promotes again."""
    decisions = model_versions.decisions(session, kind)
    decided = (each.action for each in decisions)
    last = next((each for each in decided if each is not ModelAction.TRAINED), None)
    return last is ModelAction.ROLLED_BACK


def is_sound(metadata: dict[str, Any]) -> bool:
    """Say whether a model's numbers allow it to be used, in the used one's place."""
    kind = metadata["kind"]
    if metadata.get(_PROPOSED):
        return False
    if kind == ModelKind.UPLIFT:
        return bool(metadata["judgement"]["is_better"])
    is_known = metadata.get("over_luck", _UNKNOWN)[1] > 0
    is_worse = (metadata.get("against_used") or {}).get("is_worse", False)
    return is_known and not is_worse


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
    kept = TEACHERS[kind](learning, as_of)
    with learning.sessions.begin() as session:
        _keep(session, kept, now)
        used = model_versions.active(session, kind)
        may = _may_be_used(kept.metadata, used)
        action = ModelAction.PROMOTED if may else ModelAction.TRAINED
        _decide(session, kind, kept.metadata, action, now)
    if gone := dropped(kept.metadata, used):
        logger.warning("segments_forgotten", segments=gone)
    return kept.metadata


def _keep(session: Session, kept: files.Kept, now: datetime) -> None:
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
        used = model_versions.active(session, ModelKind(model.kind))
        if not anyway and not _may_be_used(model.metadata, used):
            raise ActionRefusedError(
                f"{model.version} {_why_not(model.metadata, used)} Say --anyway to use "
                "it all the same"
            )
        files.load(learning.models_folder / model.path, ModelKind(model.kind))
        because = "a person said so" + (", anyway" if anyway else "")
        model_versions.decide(
            session,
            ModelDecision(
                model.kind, model.version, ModelAction.PROMOTED, now, because
            ),
        )
    return model


def _why_not(metadata: dict[str, Any], used: ModelVersion | None) -> str:
    if metadata.get(_PROPOSED):
        return "was proposed, and its numbers are its maker's: nobody judged it here."
    if used is not None and is_sound(metadata):
        return f"was not compared with {used.version}, which is used now."
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
            files.load(learning.models_folder / model.path, ModelKind(model.kind))
        model_versions.decide(
            session,
            ModelDecision(
                kind, earlier, ModelAction.ROLLED_BACK, now, "a person said so"
            ),
        )
    return model


def _check_date(metadata: dict[str, Any]) -> None:
    try:
        zone = _as_of(metadata).tzinfo
    except (LookupError, TypeError, ValueError):
        zone = None
    if zone is None:
        raise ActionRefusedError(
            "as_of: a model has to say up to which moment it knows, with a time zone, "
            "such as 2026-06-01T00:00:00+00:00"
        )


def propose(
    learning: Learning, model: object, metadata: dict[str, Any], *, now: datetime
) -> str:
    """Keep a model that was made elsewhere, such as in a notebook; return its version.

    It is used once a person promotes it, anyway: nobody but its maker judged it.

    Raises:
        ActionRefusedError: A model of that version is stored already, or this one does
            not say up to when it knows.
        ModelMismatchError: It holds types that are not trusted, or does not fit.
    """
    _check_date(metadata)
    try:
        sentence_of(metadata)
    except (LookupError, TypeError, ValueError) as error:
        raise ActionRefusedError(
            f"metadata: lacks {error}, which says what the model reaches; the "
            "functions that train models return it whole"
        ) from error
    # Another name than ours of the same data: what is learnt here never is its file.
    kind, version = ModelKind(metadata["kind"]), f"p{metadata['version']}"
    with learning.sessions.begin() as session:
        if model_versions.is_stored(session, version):
            raise ActionRefusedError(
                f"a model of version {version} is stored already; a changed one needs "
                "another version"
            )
    proposed = {**metadata, "version": version, _PROPOSED: True}
    kept = files.keep(model, proposed, learning.models_folder)
    with learning.sessions.begin() as session:
        _keep(session, kept, now)
        _decide(session, kind, kept.metadata, ModelAction.TRAINED, now)
    return version
