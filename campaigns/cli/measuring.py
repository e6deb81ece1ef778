"""`winback measure`."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.trial import Contrast, Trial, measured
from campaigns.sources.trials import TrialFile, read_trial

_WIDTH: Final = 100
_SHOWN: Final = 20


def print_trial(
    path: Path,
    *,
    treatment: str,
    outcome: str,
    control: str | None,
    before: str | None,
    mailed: str | None,
    where: str | None,
    control_share: float | None,
) -> None:
    """Print what a file of a randomised trial shows, each arm against the control."""
    file = read_trial(
        path,
        treatment=treatment,
        outcome=outcome,
        before=before,
        mailed=mailed,
        where=where,
    )
    trial = measured(
        file.outcomes,
        control=control,
        before=file.before or None,
        control_share=control_share,
        mailed=file.mailed or None,
        lost=file.lost,
    )
    console = Console(width=max(Console().width, _WIDTH), highlight=False)
    console.print(_arms(trial))
    for contrast in trial.contrasts:
        console.print()
        console.print(_contrast(contrast, trial))
        for line in _remarks(contrast):
            console.print(line)
    _print_refused(console, file)


def _arms(trial: Trial) -> Table:
    mean = "rate, 95 % (Wilson)" if trial.is_rate else "mean"
    table = Table("arm", "accounts", mean, box=None, padding=(0, 3, 0, 0))
    for arm, (accounts, estimate) in trial.means.items():
        shown = _share(estimate) if trial.is_rate else f"{estimate.value:,.4f}"
        name = f"{arm} (control)" if arm == trial.control else arm
        table.add_row(name, f"{accounts:,}", shown)
    return table


def _contrast(contrast: Contrast, trial: Trial) -> Table:
    title = f"{contrast.arm} against {trial.control}"
    table = Table(title, "", box=None, padding=(0, 3, 0, 0))
    rates = contrast.rates
    if rates and rates.lift and rates.score:
        table.add_row("lift in points (Newcombe)", _points(rates.lift))
        table.add_row("lift in points (Miettinen-Nurminen)", _points(rates.score))
        table.add_row("lift, right at every further look", _points(rates.at_all_looks))
    if rates and rates.ratio:
        table.add_row("times as likely (Wilson, combined)", _plain(rates.ratio, 2))
    if contrast.money:
        amounts = contrast.money.per_account
        table.add_row("more for each account (permutation)", _plain(amounts, 3))
    if contrast.adjusted:
        shown = _points if trial.is_rate else lambda each: _plain(each, 3)
        table.add_row("adjusted by what was known before", shown(contrast.adjusted))
    return table


def _remarks(contrast: Contrast) -> Iterable[str]:
    if contrast.sizes and contrast.sizes.is_alarming:
        yield (
            "  The arms are not as large as they were to be (chance "
            f"{contrast.sizes.p_value:.1g}): something lost accounts, believe no lift."
        )
    elif contrast.sizes:
        yield (
            f"  The arms' sizes are as planned (chance {contrast.sizes.p_value:.2f}); "
            f"a loss of {contrast.sizes.findable_loss:.0%} would have been found."
        )
    if contrast.money and contrast.money.hangs_on_one:
        yield (
            f"  One account is {contrast.money.largest_share:.0%} of everything: "
            "look at it before you believe the mean."
        )


def _print_refused(console: Console, file: TrialFile) -> None:
    refused = file.refused
    if not refused:
        return
    arms = "; ".join(f"{arm} {count:,}" for arm, count in sorted(file.lost.items()))
    by_arm = f" (of arms: {arms})" if arms else ""
    console.print(f"\n{len(refused):,} rows were left out{by_arm}:")
    for row in islice(refused, _SHOWN):
        console.print(f"  row {row.row}, {row.column}: {row.reason}")
    if len(refused) > _SHOWN:
        console.print(f"  and {len(refused) - _SHOWN:,} more")


def _share(of: Estimate) -> str:
    return f"{of.value:.3%} [{of.low:.3%}, {of.high:.3%}]"


def _points(of: Estimate) -> str:
    return f"{of.value * 100:+.3f} [{of.low * 100:+.3f}, {of.high * 100:+.3f}]"


def _plain(of: Estimate, digits: int) -> str:
    shown = [f"{each:,.{digits}f}" for each in of]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"
