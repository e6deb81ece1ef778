"""`make proof-measurement`: what is claimed of programmes whose truth is known."""

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import product
from math import log, sqrt
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.stats import binom

from benchmarks import pipelines
from benchmarks.promises import Proof, Row, tried
from campaigns.domain.values import ArmCount
from campaigns.domain.words import Verdict
from campaigns.rules.measure.losses import unequal_loss
from campaigns.rules.measure.pooled import mean_lift_sequence, programme_verdict
from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.sequential import (
    against_pilot,
    evidence,
    excludes_none,
    rate_sequence,
)
from campaigns.rules.measure.strata import ArmPair
from campaigns.rules.measure.variants import compare

_LOOKS: Final = 26
_ERROR: Final = 0.05
_ODDS: Final = -log(_ERROR)
_JUDGED_AT: Final = 0.001
_NOISE: Final = 3.29  # standard errors, two-sided at p < .001
_RATES: Final = (0.03, 0.12, 0.3)
_ACCOUNTS: Final = (300, 3_000)
_HOLDOUTS: Final = (0.1, 0.2, 0.5)
_LIFTS: Final = (-0.02, 0.06)

Ints = NDArray[np.int64]


class Programmes(NamedTuple):
    """Programmes of the same sizes and truth.

    Attributes:
        accounts: Of each cohort and arm, treated first; shape (looks, 2).
        returned: Of shape (programmes, looks, 2).
    """

    accounts: Ints
    returned: Ints


def _programmes(
    count: int, accounts: int, holdout: float, rates: tuple[float, float], seed: int
) -> Programmes:
    """Draw programmes whose accounts mature in 26 cohorts."""
    rng = np.random.default_rng(seed)
    ends = np.linspace(0, accounts, _LOOKS + 1)
    sizes = np.stack(
        [np.diff((ends * share).astype(int)) for share in (1 - holdout, holdout)],
        axis=1,
    )
    drawn = rng.binomial(sizes, rates, (count, *sizes.shape))
    return Programmes(sizes, drawn)


def _ever(found: NDArray[np.bool_]) -> int:
    """Return in how many programmes something was found at any look."""
    return int(found.any(axis=1).sum())


def _plain_claims(of: Programmes) -> int:
    """Return how often a plain z-test, run every week, ever claims a difference."""
    n1, n2 = of.accounts.cumsum(axis=0).T
    k1, k2 = np.moveaxis(of.returned.cumsum(axis=1), -1, 0)
    pooled = (k1 + k2) / (n1 + n2)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (k1 / n1 - k2 / n2) / np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    return _ever(np.abs(z) > 1.959964)


def _too_often(wrong: int, of: int) -> bool:
    """Say whether so many are beyond chance if one in twenty may be wrong."""
    return bool(binom.sf(wrong - 1, of, _ERROR) < _JUDGED_AT)


def _worst(found: dict[str, int], of: int) -> tuple[str, list[str]]:
    worst = max(found, key=lambda cell: found[cell])
    broken = [f"{cell}: {n} of {of}" for cell, n in found.items() if _too_often(n, of)]
    return f"worst {found[worst] / of:.1%} ({worst})", broken


def _cells(what: str) -> Iterator[tuple[float, int, float]]:
    cells = list(product(_RATES, _ACCOUNTS, _HOLDOUTS))
    return iter(track(cells, what, console=Console(stderr=True)))


def _named(rate: float, accounts: int, holdout: float) -> str:
    return f"{rate:.0%}, {accounts:,}, {holdout:.0%} held out"


def claims(
    *, count: int, rate: float, accounts: int, holdout: float, seed: int
) -> tuple[int, int]:
    """Return how many A/A programmes ever claim a difference: ours, and plain ones."""
    of = _programmes(count, accounts, holdout, (rate, rate), seed)
    return _ever(evidence(*of, 0.0) >= _ODDS), _plain_claims(of)


def _nothing(is_full: bool, _kept: Path) -> Iterator[Row]:
    count = 2_000 if is_full else 300
    ours, plain = dict[str, int](), dict[str, int]()
    for seed, cell in enumerate(_cells("nothing to find")):
        sizes = dict(zip(("rate", "accounts", "holdout"), cell, strict=True))
        found = claims(count=count, seed=seed, **sizes)
        ours[_named(*cell)], plain[_named(*cell)] = found
    result, broken = _worst(ours, count)
    often = sum(ours.values()) / count / len(ours)
    theirs = sum(plain.values()) / count / len(plain)
    yield Row(
        "No difference is claimed where there is none",
        "A/A programmes, looked at every week for half a year",
        f"{len(ours)} × {count:,} programmes × {_LOOKS} looks",
        f"{often:.1%} ever claim one, {result}; a plain test every week: {theirs:.1%}",
        broken,
    )


def _covered(is_full: bool, _kept: Path) -> Iterator[Row]:
    count = 2_000 if is_full else 300
    missed = dict[str, int]()
    for seed, (cell, lift) in enumerate(product(_cells("lifts"), _LIFTS), start=100):
        rate, accounts, holdout = cell
        if rate + lift <= 0:
            continue
        of = _programmes(count, accounts, holdout, (rate + lift, rate), seed)
        # The truth is outside once a bet against it has won; intervals only shrink.
        missed[f"{_named(*cell)}, {lift:+.0%}"] = _ever(evidence(*of, lift) >= _ODDS)
    how = "programmes with a lift, looked at every week for half a year"
    yield _missed_row("lift", how, missed, count)


def _missed_row(what: str, how: str, missed: dict[str, int], count: int) -> Row:
    result, broken = _worst(missed, count)
    return Row(
        f"The {what}'s interval holds the truth at all looks together",
        how,
        f"{len(missed)} × {count:,} × {_LOOKS} looks",
        f"{sum(missed.values()) / count / len(missed):.1%} ever miss it, {result}",
        broken,
    )


def _rates(is_full: bool, _kept: Path) -> Iterator[Row]:
    count = 200 if is_full else 60
    missed = dict[str, int]()
    for seed, cell in enumerate(_cells("rates"), start=200):
        rate, accounts, holdout = cell
        of = _programmes(count, accounts, holdout, (rate, rate), seed)
        sizes = of.accounts[:, 0]
        missed[_named(*cell)] = sum(
            _ever_misses(
                rate_sequence(list(map(ArmCount, sizes, map(int, counts)))), rate
            )
            for counts in of.returned[:, :, 0]
        )
    how = "arms, looked at every week for half a year"
    yield _missed_row("rate", how, missed, count)


def _ever_misses(found: list[Estimate], truth: float) -> bool:
    return any(not each.low <= truth <= each.high for each in found)


def _pilot(is_full: bool, _kept: Path) -> Iterator[Row]:
    count = 200 if is_full else 30
    rng, missed = np.random.default_rng(250), dict[str, int]()
    cells = list(product(_RATES, (60, 600), _LIFTS))
    for seed, cell in enumerate(
        track(cells, "pilots", console=Console(stderr=True)), start=250
    ):
        rate, tried_on, added = cell
        if rate + added <= 0:
            continue
        of = _programmes(count, 3_000, 0.2, (rate + added, rate), seed)
        sizes, pilots = of.accounts[:, 0], rng.binomial(tried_on, rate, count)
        missed[f"{rate:.0%} of {tried_on}, then {added:+.0%}"] = sum(
            _ever_misses(
                against_pilot(
                    list(map(ArmCount, sizes, map(int, counts))),
                    ArmCount(tried_on, int(won_back)),
                ),
                added,
            )
            for counts, won_back in zip(of.returned[:, :, 0], pilots, strict=True)
        )
    how = "arms after a pilot of known size, looked at every week for half a year"
    yield _missed_row("difference from the pilot", how, missed, count)


def _power(is_full: bool, _kept: Path) -> Iterator[Row]:
    count = 2_000 if is_full else 400
    of = _programmes(count, 3_000, 0.2, (0.12, 0.06), seed=300)
    share = _ever(evidence(*of, 0.0) >= _ODDS) / count
    yield Row(
        "A lift worth having is found",
        "6 → 12 %, 3,000 accounts, a fifth held out",
        f"{count:,} programmes × {_LOOKS} looks",
        f"{share:.1%} reach a verdict",
        [] if share >= 0.8 else [f"only {share:.1%}"],
    )


_ADDED: Final = {
    "nothing anywhere": (0.0, 0.0, 0.0),
    "as much lost as won": (0.03, 0.0, -0.03),
    "much lost, much won": (0.1, 0.0, -0.1),
    "one of three works": (0.06, 0.0, 0.0),
}


def _together(is_full: bool, _kept: Path) -> Iterator[Row]:
    count = 2_000 if is_full else 100
    rng, sizes = np.random.default_rng(450), ((45, 5), (40, 10), (400, 100), (25, 25))
    missed, claimed = dict[str, int](), dict[str, int]()
    cells = list(product(_ADDED.items(), (0.04, 0.12), sizes))
    for (what, added), rate, arms in track(
        cells, "campaigns together", console=Console(stderr=True)
    ):
        name = f"{what}, {rate:.0%}, {arms[0]} and {arms[1]} a week"
        if rate + min(added) <= 0:
            continue
        rates = np.stack([rate + np.array(added), np.full(3, rate)], axis=1)
        drawn = rng.binomial(arms, rates, (count, _LOOKS, *rates.shape))
        looks = [_looked_at(arms, each, float(np.mean(added))) for each in drawn]
        missed[name] = sum(is_missed for is_missed, _ in looks)
        if not sum(added):
            claimed[name] = sum(is_claimed for _, is_claimed in looks)
    how = "three campaigns that add unlike, looked at every week for half a year"
    yield _missed_row("mean lift", how, missed, count)
    result, broken = _worst(claimed, count)
    yield Row(
        "Nothing is claimed of campaigns that add nothing together",
        how,
        f"{len(claimed)} × {count:,} programmes × {_LOOKS} looks",
        f"{sum(claimed.values()) / count / len(claimed):.1%} ever claim, {result}",
        broken,
    )


_CLAIMS: Final = {Verdict.WORKS, Verdict.HARMS}


def _looked_at(
    arms: tuple[int, int], returned: Ints, truth: float
) -> tuple[bool, bool]:
    """Say whether any look missed the mean of all campaigns, and any claimed one."""
    cohorts = [
        ArmPair(*map(ArmCount, arms, map(int, pair)))
        for pair in returned.reshape(-1, 2)
    ]
    lifts = mean_lift_sequence(cohorts)
    # Three windows close at once: after each third cohort all campaigns weigh alike.
    is_missed = _ever_misses(lifts[2::3], truth)
    claimed = {
        programme_verdict(cohorts[:seen], lifts[seen - 1], is_over=False)
        for seen in range(3, len(cohorts) + 1, 3)
        # Bets take time, and an interval around 0 claims nothing anyway.
        if not lifts[seen - 1].low <= 0 <= lifts[seen - 1].high
    }
    return is_missed, bool(claimed & _CLAIMS)


def _texts(is_full: bool, _kept: Path) -> Iterator[Row]:
    count = 200 if is_full else 30
    rng = np.random.default_rng(400)
    looks, size, wrong, right = 13, 60, Counter[str](), 0
    for what, rates in (("equal", (0.1, 0.1, 0.1)), ("one better", (0.1, 0.1, 0.18))):
        for _ in track(range(count), what, console=Console(stderr=True)):
            drawn = rng.binomial(size, rates, (looks, 3))
            weeks = [
                {
                    name: ArmCount(size, int(n))
                    for name, n in zip("abc", week, strict=True)
                }
                for week in drawn
            ]
            best = compare(weeks).best
            wrong[what] += best is not None and not (
                what == "one better" and best == "c"
            )
            right += what == "one better" and best == "c"
    broken = [
        f"{what}: {n} of {count}" for what, n in wrong.items() if _too_often(n, count)
    ]
    yield Row(
        "The wrong text is not called best",
        f"three texts, {looks} weekly looks, {looks * size} accounts each",
        f"2 × {count} programmes",
        f"wrong in {wrong.total() / count / 2:.1%}; one of 18 % among two of 10 % "
        f"is found in {right / count:.0%}",
        broken,
    )


def _losses(is_full: bool, _kept: Path) -> Iterator[Row]:
    count = 2_000 if is_full else 300
    rng = np.random.default_rng(500)
    found = {"treated lose 5 %": 0, "holdout loses 5 %": 0, "both lose 5 %": 0}
    for what, shares in zip(found, ((0.05, 0), (0, 0.05), (0.05, 0.05)), strict=True):
        for _ in range(count):
            arms = [
                ArmCount(size, size - int(rng.binomial(size, share)))
                for size, share in zip((4_000, 1_000), shares, strict=True)
            ]
            loss = unequal_loss(*arms)
            found[what] += loss is not None and loss.is_alarming
    alike = found["both lose 5 %"] / count
    least = min(found["treated lose 5 %"], found["holdout loses 5 %"]) / count
    broken = [] if least >= 0.9 else [f"found in {least:.1%} only"]
    broken += [] if alike <= 0.01 else [f"{alike:.1%} false alarms"]
    yield Row(
        "A loss between enrolment and measurement is found",
        "5 % of one arm of 5,000 accounts, or of both alike",
        f"3 × {count:,} programmes",
        f"found in {least:.1%} or more, false alarms {alike:.1%}",
        broken,
    )


def _visitors(is_full: bool, _kept: Path) -> Iterator[Row]:
    count, looks = (2_000 if is_full else 200), 13
    rng = np.random.default_rng(600)
    sizes, exposed = np.full((looks, 2), [184, 46]), Counter[str]()
    for what, staying in (("visitors", 0.36), ("none", 0.85)):
        back = rng.binomial(sizes, (0.14, 0.06), (count, looks, 2))
        stayed = rng.binomial(back, (staying, 0.85))
        for came, here in zip(back, stayed, strict=True):
            pairs = [
                ArmPair(*map(ArmCount, map(int, n), map(int, k)))
                for n, k in zip(came, here, strict=True)
            ]
            ours, theirs = here.sum(axis=0) / came.sum(axis=0)
            exposed[what] += excludes_none(pairs) and ours < theirs
    found, alarms = exposed["visitors"] / count, exposed["none"]
    broken = [] if found >= 0.9 else [f"only {found:.1%}"]
    broken += [f"{alarms} false alarms"] if _too_often(alarms, count) else []
    yield Row(
        "Visitors who came for a discount and left again are exposed",
        "6 → 14 %, 3,000 accounts; the 8 points more are gone after 30 days",
        f"2 × {count:,} programmes × {looks} looks",
        f"exposed in {found:.1%}; where all stay alike, {alarms / count:.1%} alarms",
        broken,
    )


def _pipelines(is_full: bool, kept: Path) -> Iterator[Row]:
    count = 200 if is_full else 4
    worlds = list(pipelines.lived_through(count, kept.with_suffix(".pipelines.jsonl")))
    errors = np.array([each.error for each in worlds])
    missed = [each.seed for each in worlds if each.is_missed]
    bias, noise = errors.mean(), errors.std(ddof=1) / sqrt(count)
    broken = [f"seeds {missed}"] if _too_often(len(missed), count) else []
    if abs(bias) > max(0.002, _NOISE * noise):
        broken.append(f"biased by {bias * 100:+.2f} points")
    yield Row(
        "The whole pipeline measures what mails truly added",
        "imports, scores, holdout, mails, events and returns of small worlds",
        f"{count} worlds, {sum(sum(each.accounts) for each in worlds):,} accounts",
        f"bias {bias * 100:+.2f} ± {noise * 100:.2f} points; {len(missed)} intervals "
        "miss the truth",
        broken,
    )


PROOFS: Final[dict[str, Proof]] = {
    "nothing to find": _nothing,
    "coverage": _covered,
    "rates": _rates,
    "pilot": _pilot,
    "power": _power,
    "together": _together,
    "texts": _texts,
    "losses": _losses,
    "visitors": _visitors,
    "pipelines": _pipelines,
}


if __name__ == "__main__":
    sys.exit(tried(PROOFS, is_full="full" in sys.argv[1:]))
