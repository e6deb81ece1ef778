"""The embedded world, whose truth is known: what models find of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from scipy.stats import t
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import weekly_learning
from models.definitions import FEATURE_NAMES, THEMES
from models.features import Inputs, features_as_of
from models.policy import Costs, judge, mails_whom
from models.synthetic import make_company
from models.synthetic.life import until
from models.synthetic.trials import make_trial
from models.taxonomy import read_taxonomy, weak_labels
from models.training import matrix, train_segments
from models.uplift import Selected

LABELS: Final = 300
NOISE: Final = 0.1
LAUNCH: Final = datetime(2026, 1, 5, tzinfo=UTC).date()


class World(NamedTuple):
    """Accounts that left before the launch.

    Attributes:
        features: As of the launch.
        truth: The segment that each account truly has.
    """

    features: pl.DataFrame
    truth: dict[str, str]


def made(accounts: int, *, seed: int) -> World:
    """Return a company's churned accounts, as it knows them on the launch day."""
    company = make_company(seed=seed, accounts=accounts, launch=LAUNCH, days_after=1)
    as_of = datetime.combine(LAUNCH, time(), UTC)
    contracts, usage = until(company, LAUNCH)
    left = {
        each.id: each
        for each in company.truth.values()
        if each.left_on and each.left_on < LAUNCH and each.end_kind == "voluntary"
    }
    moments = [datetime.combine(each.left_on, time(), UTC) for each in left.values()]
    frames = Inputs(
        churned=pl.LazyFrame({"account": list(left), "churned_at": moments}),
        accounts=pl.LazyFrame(company.accounts).select(
            "id", pl.col("created_at").str.to_datetime(time_unit="us", time_zone="UTC")
        ),
        usage=usage.lazy(),
        subscriptions=_timed(contracts, "started_at", "ended_at").with_columns(
            discount_minor=pl.lit(0)
        ),
        tickets=_timed(company.tickets, "opened_at"),
        nps=_timed(company.nps, "at"),
    )
    table = features_as_of(frames, as_of=as_of).to_native()
    return World(table, {name: each.segment for name, each in left.items()})


def _timed(rows: list[dict[str, object]], *names: str) -> pl.LazyFrame:
    frame = pl.LazyFrame(rows, infer_schema_length=None)
    return frame.with_columns(
        pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
        for name in names
    )


Line = tuple[str, ...]

_RIGHT: Final = {
    "never-activated": {"how much it used it", "what for"},
    "blocked-integration": {"what failed"},
    "slow-fade": {"how much it used it"},
    "lapsed-power-user": {"how much it used it", "what for"},
    "price-sensitive": {"price"},
    "champion-left": {"who"},
}
"""What is behind each pattern, as the world makes it."""

_TAXONOMY: Final = (
    Path(__file__).parents[1] / "templates" / "workspace" / "segments.toml"
)


def segments() -> Iterator[Line]:
    """How an account used the product: 300 noisy labels against the hidden truth."""
    found = [_segments_of(seed) for seed in range(1, 6)]
    what = f"segments, macro-F1 ({LABELS} labels, {NOISE:.0%} wrong, 5 worlds)"
    for name in found[0]:
        values = [each[name] for each in found]
        spread = f"{min(values):.3f} to {max(values):.3f}"
        mean = float(np.mean(values))
        missed = f"below {_BARS[name]}" if mean < _BARS.get(name, 0) else ""
        yield what, name, f"{mean:.3f}", spread, missed


_BARS: Final = {"ours": 0.85, "ours, top reason right": 0.9}


def _segments_of(seed: int) -> dict[str, float]:
    world, rng = made(2_000, seed=seed), np.random.default_rng(seed)
    names = sorted(set(world.truth.values()))
    labelled = rng.permutation(world.features["account"].to_numpy())[:LABELS]
    people = {
        account: world.truth[account]
        if rng.random() > NOISE
        else str(rng.choice(names))
        for account in labelled
    }
    rules = weak_labels(world.features, read_taxonomy(_TAXONOMY))
    as_of = datetime.combine(LAUNCH, time(), UTC)
    trained = train_segments(world.features, people=people, rules={}, as_of=as_of)
    is_new = ~pl.col("account").is_in(list(labelled))
    new, learnt = world.features.filter(is_new), world.features.filter(~is_new)
    truth = [world.truth[account] for account in new["account"]]
    plain = make_pipeline(
        SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=2000)
    ).fit(matrix(learnt), [people[account] for account in learnt["account"]])
    given = trained.classifier.predict(matrix(new))
    by_rules = [rules.get(account, "none") for account in new["account"]]

    def score(segments: object) -> float:
        return f1_score(truth, segments, average="macro", labels=names)

    return {
        "ours": score(given),
        "rules alone": score(by_rules),
        "plain logistic": score(plain.predict(matrix(new))),
        "ours, top reason right": _reason_right(trained.classifier, new, given, truth),
    }


def _reason_right(classifier, new, given, truth) -> float:
    """Return how often the strongest theme is behind the pattern, where it is right."""
    X = matrix(new)
    terms = np.where(np.isnan(X), 0.0, classifier.contributions(X, list(given)))
    themes = list(THEMES)
    places = [[FEATURE_NAMES.index(n) for n in THEMES[theme]] for theme in themes]
    sums = np.column_stack([terms[:, at].sum(axis=1) for at in places])
    top = [themes[at] for at in sums.argmax(axis=1)]
    return float(
        np.mean(
            [
                theme in _RIGHT[segment]
                for theme, segment, true in zip(top, given, truth, strict=True)
                if segment == true
            ]
        )
    )


_TRIALS: Final = 10
_GAIN: Final = 0.1


def policy() -> Iterator[Line]:
    """Whom to mail, where 15 % are put off: net win-backs over mailing all."""
    what = f"whom to mail, 15 % put off ({_TRIALS} times 20,000 accounts)"
    gains = np.array([_gained(2 * number) for number in range(_TRIALS)])
    error = gains.std(ddof=1) / _TRIALS**0.5
    low, high = t.interval(0.95, _TRIALS - 1, gains.mean(), error)
    said = judge(Selected(random_state=0), make_trial(20_000, seed=1).trial).sentence
    yield what, "ours says, of the first", said, "", ""
    gained = f"{gains.mean():+.0%} [{low:+.0%}, {high:+.0%}] net win-backs over all"
    missed = f"below {_GAIN:.0%}" if gains.mean() < _GAIN or low <= 0 else ""
    yield what, "truth on as many others", gained, "", missed


def _gained(seed: int) -> float:
    """Return the share of net win-backs that a model gains over mailing all."""
    learnt, new = make_trial(20_000, seed=seed + 1), make_trial(20_000, seed=seed + 2)
    model = Selected(random_state=0).fit(*learnt.trial)
    chosen = mails_whom(model.predict(new.trial.X), Costs())
    return float(new.uplift[chosen].sum() / new.uplift.sum() - 1)


_WORLDS: Final = 100


def alike() -> Iterator[Line]:
    """Where all gain alike: how many programmes ever leave anybody alone."""
    left = weekly_learning.left_mailing_all(_WORLDS)
    yield (
        f"nothing to gain, {weekly_learning.WEEKS} weekly runs of learn",
        "ours",
        f"{_WORLDS - len(left)} of {_WORLDS} programmes always mail all",
        "",
        "too few" if len(left) > 0.05 * _WORLDS else "",
    )
