"""Groups of accounts that nobody has named: an aid for people, never used unasked.

Accounts are put into as many groups (k-means) as are found again: groups learnt on one
half of the accounts and on the other must put all accounts together alike (adjusted
Rand index), as in R. Tibshirani and G. Walther, Journal of Computational and Graphical
Statistics 14 (2005). That groups are found again does not say that anything lies
between them: two of them may be the ends of one range.
"""

from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from models.definitions import FEATURE_NAMES, FEATURES, THEMES
from models.propensity import signed_logarithm
from models.taxonomy import Condition
from models.training import matrix
from models.trial import Numbers

FEWEST_ACCOUNTS: Final = 100
"""Among fewer, groups are those of chance."""

FOUND_AGAIN: Final = 0.9
"""From this agreement of two halves on, groups are shown."""

_MOST_GROUPS: Final = 10
_SPLITS: Final = 5
_STARTS: Final = 5
_NAMED_BY: Final = 2
_QUANTILES: Final = np.linspace(0.01, 0.99, 99)


class Group(NamedTuple):
    """Accounts that used the product alike.

    Attributes:
        name: Proposed, from what they have in common.
        accounts: Their ids.
        in_words: What sets them apart, the most telling first.
        rule: Conditions that nearly describe them, as a segment's starter rule.
        precision: Of the accounts that the rule holds for, the share that is in it.
        recall: Of its accounts, the share that the rule holds for.
    """

    name: str
    accounts: list[str]
    in_words: tuple[str, ...]
    rule: tuple[Condition, ...]
    precision: float
    recall: float


class Discovery(NamedTuple):
    """What was found.

    Attributes:
        groups: The largest first; none where none are found again.
        agreement: Of halves, by the number of groups that were looked for.
    """

    groups: list[Group]
    agreement: dict[int, float]


def discover(features: pl.DataFrame, *, random_state: int = 0) -> Discovery:
    """Look for groups among accounts.

    Args:
        features: The columns account and FEATURE_NAMES.
        random_state: Makes splits and starts the same on every run.

    Raises:
        ValueError: There are too few accounts.
    """
    if features.height < FEWEST_ACCOUNTS:
        raise ValueError(
            f"{features.height} accounts are too few to look for groups among; at "
            f"least {FEWEST_ACCOUNTS} are needed"
        )
    rows = features.sort("account")
    scaled = _scaled(matrix(rows))
    X = scaled * _theme_weights(scaled)
    agreement = {
        count: _agreement(X, count, random_state)
        for count in range(2, _MOST_GROUPS + 1)
    }
    again = [count for count, value in agreement.items() if value >= FOUND_AGAIN]
    if not again:
        return Discovery([], agreement)
    places = _groups(max(again), random_state).fit(X).labels_
    groups = [_group(rows, scaled, places == place) for place in range(max(again))]
    groups.sort(key=lambda group: -len(group.accounts))
    return Discovery(groups, agreement)


def _scaled(X: Numbers) -> Numbers:
    scale = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        FunctionTransformer(signed_logarithm),
        StandardScaler(),
    )
    scaled: Numbers = scale.fit_transform(X)
    return scaled


def _theme_weights(scaled: Numbers) -> Numbers:
    """Return weights by which themes count alike, however many features say the same.

    The strongest direction of each theme gets a variance of 1, as in multiple factor
    analysis (B. Escofier and J. Pagès, Computational Statistics & Data Analysis 18,
    1994). What is of no theme (how long ago it left, how large it is) counts for
    nothing: it does not tell how an account used the product.
    """
    weights = np.zeros(len(FEATURE_NAMES))
    for names in THEMES.values():
        places = [FEATURE_NAMES.index(name) for name in names]
        strongest = np.linalg.norm(scaled[:, places], ord=2) / len(scaled) ** 0.5
        weights[places] = 1 / max(1.0, strongest)
    return weights


def _groups(count: int, random_state: int) -> KMeans:
    return KMeans(count, n_init=_STARTS, random_state=random_state)


def _agreement(X: Numbers, count: int, random_state: int) -> float:
    """Return how far groups of two halves of the accounts are the same."""
    rng = np.random.default_rng(random_state)
    found = []
    for split in range(_SPLITS):
        halves = np.array_split(rng.permutation(len(X)), 2)
        here, there = (_groups(count, split).fit(X[half]).predict(X) for half in halves)
        found.append(adjusted_rand_score(here, there))
    return float(np.mean(found))


def _group(rows: pl.DataFrame, scaled: Numbers, is_in: NDArray[np.bool_]) -> Group:
    apart = scaled[is_in].mean(axis=0) - scaled[~is_in].mean(axis=0)
    telling = _telling(apart)
    rule = tuple(_condition(rows, at, is_in, is_high=apart[at] > 0) for at in telling)
    holds = rows.select(pl.all_horizontal([each.holds() for each in rule]))
    is_held = holds.to_series().to_numpy()
    both = float((is_held & is_in).sum())
    return Group(
        "-".join(
            f"{'high' if apart[at] > 0 else 'low'}-{FEATURE_NAMES[at]}"
            for at in telling
        ).replace("_", "-"),
        rows.filter(pl.Series(is_in))["account"].to_list(),
        tuple(_in_words(rows, at, is_in, is_high=apart[at] > 0) for at in telling),
        rule,
        both / max(1, int(is_held.sum())),
        both / int(is_in.sum()),
    )


def _telling(apart: Numbers) -> list[int]:
    """Return the features that set a group apart most, each of another theme."""
    strongest = [
        max(
            (FEATURE_NAMES.index(name) for name in names), key=lambda at: abs(apart[at])
        )
        for names in THEMES.values()
    ]
    telling = [at for at in strongest if abs(apart[at]) > 0]
    return sorted(telling, key=lambda at: -abs(apart[at]))[:_NAMED_BY]


def _condition(
    rows: pl.DataFrame, at: int, is_in: NDArray[np.bool_], *, is_high: bool
) -> Condition:
    """Return the bound that best parts a group from the others (Youden's J)."""
    name = FEATURE_NAMES[at]
    values = rows[name].cast(pl.Float64).to_numpy()
    known = values[~np.isnan(values)]
    bounds = np.unique([float(f"{b:.3g}") for b in np.quantile(known, _QUANTILES)])
    sign = 1 if is_high else -1

    def parted(bound: float) -> float:
        holds = sign * values >= sign * bound
        return float(holds[is_in].mean() - holds[~is_in].mean())

    best = float(max(bounds, key=parted))
    bound = {"at_least": best} if is_high else {"at_most": best}
    return Condition(name, **bound)


def _in_words(
    rows: pl.DataFrame, at: int, is_in: NDArray[np.bool_], *, is_high: bool
) -> str:
    feature = FEATURES[at]
    usual = rows.filter(pl.Series(is_in))[feature.name].cast(pl.Float64).median()
    value = float(usual or 0)  # type: ignore[arg-type]
    plain = f"{'high' if is_high else 'low'} {feature.name} ({value:.3g})"
    return feature.said(value, is_high=is_high) or plain
