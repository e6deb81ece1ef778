"""`make bench-learning`: how well the models rank, beside peers in the same run.

    python -m benchmarks.learning [CASE …]

Real data, split as published protocols say; ties averaged. A difference below its
standard error, or whose interval holds 0, is none.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from benchmarks import made_worlds, real_data
from benchmarks.real_data import MENS, NONE, WOMENS, Mailing
from models.calibration import calibration
from models.policy import judge
from models.propensity import ExpectedUse, ReturnModel
from models.qini import qini
from models.returns import Window, auc_difference
from models.texts import judge_texts
from models.trial import TextTrial, trial
from models.uplift import OneFlag, Selected, TwoModel

RESULTS: Final = Path(__file__).parent / "results" / "learning.json"
_FOLDS: Final = 10
_SEED_OF_FOLDS: Final = 60
_HOPELESS: Final = "men's e-mail"
"""The mail by which no model known gains anything."""
_NO_LUCK: Final = 3.29  # standard errors, two-sided at p < .001
_MOST_BEHIND: Final = 0.01
_MOST_ABOVE_NOISE: Final = 0.015


class Row(NamedTuple):
    """A line of the table; `missed` says which bar it does not reach, if any."""

    what: str
    who: str
    result: str
    beside: str = ""
    missed: str = ""


def ranked(mailing: Mailing) -> dict[str, np.ndarray]:
    """Return each model's Qini × 100 in each fold, ours first."""
    from benchmarks.uplift_peers import PEERS

    mailed = (mailing.text != NONE).astype(int)
    ours = {
        "ours": Selected(random_state=0),
        "one flag": OneFlag(),
        "two models of trees": TwoModel(learner="trees", random_state=0),
    }
    learners: dict[str, Callable[..., np.ndarray]] = {
        name: _scores_of(model) for name, model in ours.items()
    }
    learners |= PEERS
    found = {name: np.zeros(_FOLDS) for name in learners}
    split = StratifiedKFold(_FOLDS, shuffle=True, random_state=_SEED_OF_FOLDS)
    groups = [f"{t}{y:.0f}" for t, y in zip(mailed, mailing.visit, strict=True)]
    folds = list(split.split(mailing.X, groups))
    for number, (rest, fold) in enumerate(
        track(folds, "folds", console=Console(stderr=True))
    ):
        for name, scores in learners.items():
            uplift = scores(
                mailing.X[rest], mailing.visit[rest], mailed[rest], mailing.X[fold]
            )
            found[name][number] = 100 * qini(mailing.visit[fold], uplift, mailed[fold])
    return found


def _scores_of(model):
    def scores(X, y, mailed, new):
        return model.fit(X, y, treatment=mailed).predict(new)

    return scores


def hillstrom() -> Iterator[Row]:
    """Whom a mail helps: 64,000 customers of the e-mail challenge."""
    data = real_data.hillstrom()
    for name, texts in {
        "women's e-mail": (NONE, WOMENS),
        "any e-mail": (NONE, MENS, WOMENS),
        _HOPELESS: (NONE, MENS),
    }.items():
        mailing = data.of(*texts)
        found = ranked(mailing)
        [ours, *others] = found
        peers = [other for other in others if "peer" in other]
        by_rank = sorted(peers, key=lambda peer: found[peer].mean())
        best, median = by_rank[-1], by_rank[(len(by_rank) - 1) // 2]
        for who, folds in found.items():
            behind = found[ours] - folds
            error = behind.std(ddof=1) / _FOLDS**0.5
            gap = "" if who == ours else f"ours {behind.mean():+.2f} (SE {error:.2f})"
            is_best = ", best peer" if who == best else ""
            result = f"{folds.mean():.2f} ({folds.std():.2f})"
            is_held = who in {best, median} and name != _HOPELESS
            missed = "behind" if is_held and behind.mean() < -error else ""
            yield Row(f"Qini × 100, {name}", who, result, gap + is_best, missed)
        judged = judge(
            Selected(random_state=0),
            trial(mailing.X, mailing.visit, mailing.text != NONE, None),
        )
        claims = "a gain" if name == _HOPELESS and judged.is_better else ""
        yield Row(f"whom to mail, {name}", "ours says", judged.sentence, "", claims)


def arms() -> Iterator[Row]:
    """Which e-mail to whom: three arms, judged against the best single e-mail."""
    data = real_data.hillstrom()
    share = np.bincount(data.text) / len(data.text)
    chance = np.tile(share, (len(data.text), 1))
    judged = judge_texts(
        Selected(random_state=0),
        TextTrial(data.X, data.visit, data.text.astype(np.intp), chance),
    )
    none, mens, womens = judged.shares
    gain = judged.over_best
    yield Row(
        "which e-mail to whom, visits",
        "ours",
        f"{gain.value:+.2%} [{gain.low:+.2%}, {gain.high:+.2%}] over the best one",
        f"none {none:.0%}, men's {mens:.0%}, women's {womens:.0%}",
        "below the best one" if gain.high < 0 else "",
    )
    yield Row("which e-mail to whom, visits", "ours says", judged.sentence)


class Cutoffs(NamedTuple):
    """When models learn, each window closed by the first test, and when they are."""

    train: tuple[date, ...]
    test: tuple[date, ...]


_CDNOW: Final = Cutoffs((date(1997, 12, 31),), (date(1998, 3, 31),))
_CONTRIBUTORS: Final = Cutoffs(
    tuple(
        date(year, month, 1) for year in (2014, 2015, 2016) for month in (1, 4, 7, 10)
    ),
    (date(2017, 4, 1), date(2017, 7, 1), date(2017, 10, 1), date(2018, 1, 1)),
)


def cdnow() -> Iterator[Row]:
    """Who comes back: customers of a shop, silent for 90 days and more."""
    yield from came_back("CDNOW", real_data.cdnow(), _CDNOW)


def contributors() -> Iterator[Row]:
    """Who comes back: contributors to a large open project."""
    yield from came_back("contributors", real_data.contributors(), _CONTRIBUTORS)


def came_back(what: str, log: real_data.Log, at: Cutoffs) -> Iterator[Row]:
    """Yield each model's AUC and calibration, ours first."""
    from benchmarks.return_peers import stated_by_peers

    learnt, new = (real_data.silent(log, cutoffs) for cutoffs in at)
    X, later = (each.known.to_numpy().astype(float) for each in (learnt, new))
    ours = {
        "ours (logistic)": ReturnModel(),
        "trees": ReturnModel(learner="trees", random_state=0),
        "expected use": ExpectedUse(window_days=real_data.WINDOW_DAYS),
    }
    stated = {
        name: model.fit(X, learnt.came_back).predict_proba(later)[:, 1]
        for name, model in ours.items()
    }
    stated |= stated_by_peers(log, learnt, new, at.test)
    judged = Window(None, new.account, later, new.came_back)
    base = f"{len(later):,} silent, {new.came_back.mean():.2%} back"
    [first, *others] = stated
    peers = [other for other in others if "peer" in other]
    areas = {who: roc_auc_score(new.came_back, said) for who, said in stated.items()}
    best = max(peers, key=areas.__getitem__)
    for who, said in stated.items():
        gap = auc_difference(judged, stated[first], said)
        behind = f"ours {gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"
        is_best = ", best peer" if who == best else ""
        yield Row(
            f"AUC, {what} ({base})",
            who,
            f"{areas[who]:.3f}",
            "" if who == first else behind + is_best,
            "behind" if who == best and gap.value < -_MOST_BEHIND else "",
        )
    kept = calibration(new.came_back, stated[first])
    yield Row(
        f"calibration, {what}",
        first,
        f"slope {kept.slope:.2f}, ECE {kept.error:.4f}, {len(kept.bins)} bins",
        f"{kept.error_above_noise:.4f} above a perfect forecast's {kept.noise:.4f}",
        # Of the other log the base rate drifts.
        "error"
        if what == "contributors" and kept.error_above_noise > _MOST_ABOVE_NOISE
        else "",
    )


def controls() -> Iterator[Row]:
    """Where nothing is to be found, nothing may be found."""
    X, left = real_data.ravenstack()
    for learner in ("logistic", "trees"):
        split = StratifiedKFold(_FOLDS, shuffle=True, random_state=_SEED_OF_FOLDS)
        model = ReturnModel(learner=learner, random_state=0)
        stated = cross_val_predict(model, X, left, cv=split, method="predict_proba")
        what = f"nothing to learn, AUC: {len(left)} random accounts"
        yield Row(what, f"ours ({learner})", *_by_luck(left, stated[:, 1]))
    log, rng = real_data.contributors(), np.random.default_rng(0)
    learnt, new = (real_data.silent(log, cutoffs) for cutoffs in _CONTRIBUTORS)
    earlier, later = (each.known.to_numpy().astype(float) for each in (learnt, new))
    model = ReturnModel().fit(earlier, rng.permutation(learnt.came_back))
    stated = model.predict_proba(later)
    what = "nothing to learn, AUC: contributors, returns shuffled"
    later_too = rng.permutation(new.came_back)  # or any direction would say something
    yield Row(what, "ours (logistic)", *_by_luck(later_too, stated[:, 1]))
    mailing = real_data.hillstrom().of(NONE, WOMENS)
    mailed = rng.permutation(mailing.text != NONE)
    judged = judge(
        Selected(random_state=0), trial(mailing.X, mailing.visit, mailed, None)
    )
    what = "nothing to learn: women's, arms shuffled"
    yield Row(what, "ours says", judged.sentence, "", "a gain" * judged.is_better)


def _by_luck(outcome: np.ndarray, stated: np.ndarray) -> tuple[str, str, str]:
    """Return an AUC, between what luck alone leaves 95 % of them, and if it is not."""
    ones = outcome.sum()
    error = ((1 / ones + 1 / (len(outcome) - ones)) / 12) ** 0.5
    area = roc_auc_score(outcome, stated)
    return (
        f"{area:.3f}",
        f"by luck {0.5 - 1.96 * error:.3f} to {0.5 + 1.96 * error:.3f}",
        # Several are looked at.
        "no luck" if abs(area - 0.5) > _NO_LUCK * error else "",
    )


CASES: Final[dict[str, Callable[[], Iterator[tuple[str, ...]]]]] = {
    "cdnow": cdnow,
    "contributors": contributors,
    "arms": arms,
    "hillstrom": hillstrom,
    "controls": controls,
    "segments": made_worlds.segments,
    "policy": made_worlds.policy,
    "alike": made_worlds.alike,
}


def main(names: list[str]) -> int:
    """Run cases, print the table, keep it if all ran; fail if a bar was missed."""
    if not real_data.is_there():
        print("not tried here: the real data is not on this machine")
        return 0
    if find_spec("sklift") is None:
        print("the peers are not installed: run `make bench-learning`")
        return 1
    warnings.filterwarnings("ignore")
    rows = [Row(*row) for name in names or CASES for row in CASES[name]()]
    table = Table("what", "who", "result", "beside", box=None)
    before = ""
    for row in rows:
        table.add_row("" if row.what == before else row.what, *row[1:4])
        before = row.what
    Console(width=max(Console().width, 150)).print(table)
    if not names:
        text = json.dumps([row._asdict() for row in rows], indent=1)
        RESULTS.write_text(text + "\n", "utf-8")
    missed = [row for row in rows if row.missed]
    for row in missed:
        print(f"MISSED, {row.what}, {row.who}: {row.result} ({row.missed})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
