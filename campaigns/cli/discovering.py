"""`winback discover`: groups of accounts that nobody has named yet."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

from campaigns.scoring import training
from campaigns.wiring.notebooks import churned_accounts
from campaigns.wiring.workspace import Workspace

if TYPE_CHECKING:
    from campaigns.scoring.training import Condition, Group


def discover(workspace: Workspace) -> None:
    """Print the groups among the accounts scored last, ready to become segments.

    Raises:
        NotFoundError: Nothing was scored yet.
        ConfigError: There are too few accounts.
    """
    accounts = churned_accounts(workspace)
    found = training.discover(accounts)
    best = max(found.agreement.values())
    if not found.groups:
        print(
            f"No groups: among {accounts.height:,} accounts none are found again on "
            f"others (agreement {best:.2f} at most; 0.90 is asked for). The segments "
            "that you have are all that the data can tell apart by themselves."
        )
        return
    agreement = found.agreement[len(found.groups)]
    print(
        f"{len(found.groups)} groups among {accounts.height:,} churned accounts; other "
        f"accounts show the same (agreement {agreement:.2f} of 1)."
    )
    for number, group in enumerate(found.groups, start=1):
        _print(number, group, _segments(accounts, group))
    print(
        "\nNothing of this is used. If a group is worth a mail of its own, put its "
        "rule into\nsegments.toml under a name of yours, and run "
        "`winback train segments`."
    )


def _segments(accounts: pl.DataFrame, group: "Group") -> Counter[str]:
    mine = accounts.filter(pl.col("account").is_in(group.accounts))
    return Counter(mine["segment"].to_list())


def _print(number: int, group: "Group", segments: Counter[str]) -> None:
    size = len(group.accounts)
    now = (f"{count / size:.0%} {name}" for name, count in segments.most_common(2))
    print(
        f"\n{number}. {size:,} accounts: {'; '.join(group.in_words)}.\n"
        f"   Their segments now: {', '.join(now)}.\n"
        f"   The rule holds for {group.recall:.0%} of them, and "
        f"{group.precision:.0%} of those it holds for are of this group.\n"
    )
    print(_toml(group))


def _toml(group: "Group") -> str:
    """Return a group as segments.toml would have it."""
    rule = ",\n".join(f"    {_condition(each)}" for each in group.rule)
    return (
        "[[segments]]\n"
        f'name = "{group.name}"\n'
        'title = "…"\n'
        f'description = "{"; ".join(group.in_words)}"\n'
        f"rule = [\n{rule},\n]"
    )


def _condition(condition: "Condition") -> str:
    bounds: dict[str, Any] = {
        "at_least": condition.at_least,
        "at_most": condition.at_most,
    }
    given = (f"{name} = {v:g}" for name, v in bounds.items() if abs(v) != float("inf"))
    return f'{{ feature = "{condition.feature}", {", ".join(given)} }}'
