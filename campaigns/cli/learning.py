"""`winback train` and `winback score`."""

from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from campaigns.cli.options import in_utc
from campaigns.steps import score
from campaigns.wiring.workspace import Workspace

_DRIFT_SHOWN: Final = 5


def train_segments(workspace: Workspace, *, as_of: datetime | None) -> None:
    """Train the segment classifier and print what it learnt from and reaches."""
    now = workspace.clock()
    metadata = score.train(workspace.learning(), as_of=in_utc(as_of, now), now=now)
    metrics, labels = metadata["metrics"], metadata["labels"]
    source = {
        "people": "labels that people gave",
        "rules": "weak labels from the starter rules (segments.toml), not from people",
    }[metadata["labels_by"]]
    print(f"Learnt {len(labels)} segments from {sum(labels.values())} {source}:")
    print("  " + ", ".join(f"{name} {count}" for name, count in labels.items()))
    for name, count in metadata["left_out"].items():
        print(f"  left out: {name}, with only {count} labels (at least 10 are needed)")
    print(
        f"On labels it did not learn from: {metrics['accuracy']:.0%} right (always "
        f"naming the commonest: {metrics['chance']:.0%}), calibration error "
        f"{metrics['expected_calibration_error']:.2f}"
    )
    if metadata["labels_by"] == "rules":
        print("  This says how well it repeats the rules, not whether they are right.")
    print(f"Model {metadata['version']} is in use.")


def score_accounts(workspace: Workspace, *, as_of: datetime | None) -> None:
    """Score the churned accounts and print the segments' sizes."""
    moment = in_utc(as_of, workspace.clock())
    result = score.score(workspace.learning(), as_of=moment)
    print(
        f"As of {moment:%Y-%m-%d}: {result.scored:,} churned accounts scored, "
        f"{result.opened:,} of them newly churned"
    )
    table = Table("segment", "accounts", box=None, padding=(0, 2))
    for segment, count in result.sizes.items():
        table.add_row(segment, f"{count:,}")
    Console().print(table)
    _print_drift(result.drift)


def _print_drift(drift: list[dict[str, Any]]) -> None:
    if not drift:
        return
    print("These accounts differ from those the model learnt from:")
    table = Table("feature", "shift", "median then", "now", box=None, padding=(0, 2))
    for each in drift[:_DRIFT_SHOWN]:
        values = (each[name] for name in ("shift", "was", "now"))
        shown = ("–" if value is None else f"{value:.3g}" for value in values)
        table.add_row(each["feature"], *shown)
    Console().print(table)
    if len(drift) > _DRIFT_SHOWN:
        print(f"  and {len(drift) - _DRIFT_SHOWN} more")
    print("  (above 0.25 of the population stability index; train anew if it stays)")
