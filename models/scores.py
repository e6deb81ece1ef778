"""Scores of many accounts, a few thousand at a time.

Memory stays flat as their number grows, and trees are faster: the rows and what is made
of them stay in the processor's caches.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import polars as pl

from models.training import matrix
from models.trial import Numbers

ROWS_AT_ONCE: Final = 16_384


class Models(NamedTuple):
    """What accounts are scored by.

    Attributes:
        segments: A fitted classifier of segments.
        chance: A fitted model of the chance to come back; None if there is none.
        uplift: A fitted model of what a mail adds to it; None if there is none.
    """

    segments: Any
    chance: Any | None = None
    uplift: Any | None = None


class Scores(NamedTuple):
    """What the models say of some accounts.

    Attributes:
        features: The accounts, and what is known of them.
        segments: The probability of each of the classifier's segments
            (n_accounts, n_segments).
        chance: To come back unprompted (n_accounts,); None without such a model.
        uplift: What a mail adds to that (n_accounts,); None without such a model.
    """

    features: pl.DataFrame
    segments: Numbers
    chance: Numbers | None
    uplift: Numbers | None


def scored(
    models: Models, features: pl.DataFrame, *, rows_at_once: int = ROWS_AT_ONCE
) -> Iterator[Scores]:
    """Yield what the models say of accounts, in their order, so many at a time.

    Args:
        models: What to score by.
        features: The columns account and FEATURE_NAMES.
        rows_at_once: How many accounts each of the scores is of, but the last.
    """
    for some in features.iter_slices(rows_at_once):
        rows = matrix(some)
        yield Scores(
            some,
            models.segments.predict_proba(rows),
            None if models.chance is None else models.chance.predict_proba(rows)[:, 1],
            None if models.uplift is None else models.uplift.predict(rows),
        )
