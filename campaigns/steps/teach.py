"""What models are taught with: labels, past returns, and what lots decided."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from math import ceil
from typing import Final

import polars as pl

from campaigns.domain.values import Episode
from campaigns.domain.words import ModelKind
from campaigns.errors import ConfigError
from campaigns.rules.reactivation import find_return
from campaigns.scoring import training
from campaigns.scoring.files import Kept
from campaigns.scoring.known import (
    FEATURE_DEFINITION,
    Known,
    features_of,
    read_segments,
)
from campaigns.steps.freshness import imported_until
from campaigns.steps.score import Learning, known_of
from campaigns.store import model_versions, records, snapshots, trials

_CUTOFFS: Final = 6
_BETWEEN_CUTOFFS: Final = timedelta(days=30)
_MONTHS_BEFORE: Final = 3
_ERROR_A_YEAR: Final = 0.05
_TRIES_A_YEAR: Final = 52
CONFIDENCE: Final = 1 - _ERROR_A_YEAR / _TRIES_A_YEAR
"""Of a judgement that a model may be promoted by: it is sought every week."""


def _train_segments(learning: Learning, as_of: datetime) -> Kept:
    segments = read_segments(learning.segments_file)
    known = known_of(learning, as_of)
    with learning.sessions.begin() as session:
        people = dict(records.labels_before(session, as_of))
    return training.train_segments(
        features_of(known, as_of=as_of),
        people=people,
        segments=segments,
        as_of=as_of,
        earlier=dict(_features_before(learning, as_of)),
        folder=learning.models_folder,
        used=_used(learning, ModelKind.SEGMENTS),
    )


def _features_before(
    learning: Learning, as_of: datetime
) -> Iterator[tuple[datetime, pl.DataFrame]]:
    """Yield what was known of churned accounts in the months before a date."""
    for number in range(1, _MONTHS_BEFORE + 1):
        date = as_of - number * _BETWEEN_CUTOFFS
        known = known_of(learning, date)
        if known.churned_at:
            yield date, features_of(known, as_of=date)


def _train_propensity(learning: Learning, as_of: datetime) -> Kept:
    until, windows = unprompted(learning, as_of=as_of)
    return training.train_propensity(
        windows,
        horizon=learning.win_back.window,
        as_of=until,
        folder=learning.models_folder,
        confidence=CONFIDENCE,
    )


def unprompted(
    learning: Learning, *, as_of: datetime
) -> tuple[datetime, list[training.PastWindow]]:
    """Return up to when returns are known, and who came back unprompted before that.

    Raises:
        ConfigError: Nothing that tells of returns was imported.
    """
    with learning.sessions.begin() as session:
        known_until = imported_until(session, learning.win_back)
        spared = trials.unmailed(session)
    if known_until is None:
        raise ConfigError("who comes back: no usage or subscriptions were imported yet")
    until = min(known_until, as_of)
    return until, list(past_windows(learning, spared, until=until))


def past_windows(
    learning: Learning, spared: trials.Unmailed, *, until: datetime
) -> Iterator[training.PastWindow]:
    """Yield churned accounts at past cutoffs, and who came back unprompted since.

    Args:
        learning: What to read.
        spared: Whose returns nobody prompted.
        until: Up to when returns are known.
    """
    horizon = learning.win_back.window
    # Of those to learn from, windows have to close before the later ones begin.
    apart = ceil(horizon / _BETWEEN_CUTOFFS) + 2
    for number in reversed(range(max(_CUTOFFS, apart))):
        cutoff = until - horizon - number * _BETWEEN_CUTOFFS
        known = known_of(learning, cutoff)
        came_back = {
            account: back
            for account, back in _returns(learning, known, cutoff, cutoff + horizon)
            if spared.counts(account, cutoff=cutoff, until=cutoff + horizon)
        }
        if came_back:
            features = features_of(known, as_of=cutoff)
            yield training.PastWindow(cutoff, features, came_back)


def _returns(
    learning: Learning, known: Known, cutoff: datetime, until: datetime
) -> Iterator[tuple[str, bool]]:
    """Yield who was still away at a cutoff, and whether it came back until a moment."""
    with learning.sessions.begin() as session:
        spans = records.spans_by_account(session, before=until)
        merges = records.merges(session, before=until)
    used_at = learning.lake.first_used_after(known.churned_at, before=until)
    for account, churned_at in known.churned_at.items():
        back = find_return(
            Episode(0, account, 0, churned_at),
            subscriptions=spans.get(account, ()),
            first_used_at=used_at.get(account),
            now=until,
            definition=learning.win_back,
            merged_at=next(
                (at for at in merges.get(account, ()) if at >= churned_at), None
            ),
        )
        if back is None or back.at >= cutoff:
            yield account, back is not None and back.kind.is_win_back


def _train_uplift(learning: Learning, as_of: datetime) -> Kept:
    return training.train_uplift(
        trial_rows(learning, as_of=as_of),
        as_of=as_of,
        folder=learning.models_folder,
        costs=learning.costs,
        confidence=CONFIDENCE,
        used=_used(learning, ModelKind.UPLIFT),
    )


def _used(learning: Learning, kind: ModelKind) -> training.Used | None:
    with learning.sessions.begin() as session:
        model = model_versions.active(session, kind)
    if model is None:
        return None
    return training.Used(
        model.version,
        learning.models_folder / model.path,
        datetime.fromisoformat(model.metadata["as_of"]),
    )


def trial_rows(learning: Learning, *, as_of: datetime) -> training.TrialRows:
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
        snapshots.read(learning.snapshots_folder, each).with_columns(
            as_of=pl.lit(moment)
        )
        for moment, each in found.items()
        if each.definition == FEATURE_DEFINITION
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


def _by_lot(table: pl.DataFrame) -> training.TrialRows:
    """Return the accounts that a lot decided of; of older ones its chances are guessed.

    Raises:
        ConfigError: There are none: nobody was held out, or nobody mailed.
    """
    before = table.filter(pl.col("treated_chance").is_null())["is_treated"].mean()
    chance = pl.coalesce("treated_chance", pl.lit(before, pl.Float64))
    table = table.with_columns(chance).filter((chance > 0) & (chance < 1))
    if table.is_empty():
        raise ConfigError("whom a mail helps: no lot held anybody out")
    return training.TrialRows(
        table,
        table["is_treated"].to_list(),
        table["came_back"].to_list(),
        table["treated_chance"].to_list(),
        (1 / table["enrolled_chance"]).to_list(),
    )


TEACHERS: Final[dict[ModelKind, Callable[[Learning, datetime], Kept]]] = {
    ModelKind.SEGMENTS: _train_segments,
    ModelKind.PROPENSITY: _train_propensity,
    ModelKind.UPLIFT: _train_uplift,
}
"""What learns each kind of model, from what is known as of a date."""
