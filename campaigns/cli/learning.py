"""`winback train`, `winback learn` and `winback score`."""

from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from campaigns.cli.options import in_utc
from campaigns.domain.words import ModelAction, ModelKind
from campaigns.errors import NotFoundError
from campaigns.steps import learn, score
from campaigns.store import model_versions
from campaigns.wiring.models import write_card
from campaigns.wiring.workspace import Workspace

_DRIFT_SHOWN: Final = 5
_DECIDED: Final = {
    ModelAction.TRAINED: "proposed; `winback models show {version}` says more",
    ModelAction.PROMOTED: "in use",
    ModelAction.RETIRED: "no model of this kind is used any more",
}


def train(workspace: Workspace, what: str, *, as_of: datetime | None) -> None:
    """Train one kind of model, and print what it learnt from and reaches.

    Raises:
        NotFoundError: There is no such kind.
    """
    if what not in list(ModelKind):
        raise NotFoundError(
            f"there is nothing called {what!r} to train; try: {', '.join(ModelKind)}"
        )
    now = workspace.clock()
    metadata = learn.train(
        workspace.learning(), ModelKind(what), as_of=in_utc(as_of, now), now=now
    )
    if what == ModelKind.SEGMENTS:
        _tell_labels(metadata)
    print(learn.sentence_of(metadata))
    _tell_use(workspace, metadata)
    print(f"Its card is in {write_card(workspace, metadata['version'])}")


def _tell_labels(metadata: dict[str, Any]) -> None:
    labels = metadata["labels"]
    source = {
        "people": "labels that people gave",
        "rules": "weak labels from the starter rules (segments.toml), not from people",
    }[metadata["labels_by"]]
    print(f"Learnt {len(labels)} segments from {sum(labels.values())} {source}:")
    print("  " + ", ".join(f"{name} {count}" for name, count in labels.items()))
    for name, count in metadata["left_out"].items():
        print(f"  left out: {name}, with only {count} labels (at least 10 are needed)")
    if metadata["labels_by"] == "rules":
        print("  This says how well it repeats the rules, not whether they are right.")


def _tell_use(workspace: Workspace, metadata: dict[str, Any]) -> None:
    version = metadata["version"]
    with workspace.sessions.begin() as session:
        used = model_versions.active(session, metadata["kind"])
    if used is not None and used.version == version:
        print(f"Model {version} is in use.")
    else:
        print(f"Model {version} is kept, and not used.")


def learn_all(workspace: Workspace) -> None:
    """Learn all that can be, and print what came of it."""
    found = learn.learn(workspace.learning(), now=workspace.clock())
    for each in found:
        print(f"{each.kind}: {each.sentence}")
        if each.version and each.action:
            decided = _DECIDED[each.action].format(version=each.version)
            print(f"  {each.version}: {decided}")
            write_card(workspace, each.version)


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
    if result.chance is not None:
        print(f"Of them {result.chance:.1%} are expected to come back unprompted.")
    for why in result.set_aside:
        print(f"Not asked, for it does not fit: {why}")
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
