"""`winback explain`."""

import csv
import sys
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from campaigns.steps.explain import Explanation, explained
from campaigns.wiring.workspace import Workspace

_WIDEST: Final = 180


def explain_number(workspace: Workspace, id_: str, *, limit: int, as_csv: bool) -> None:
    """Print where a number comes from."""
    with explained(workspace.reporting(), id_, now=workspace.clock()) as found:
        if as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(found.columns)
            writer.writerows(found.rows)
            return
        _tell(id_, found, limit)


def _told(value: object) -> str:
    if value is None:
        return ""
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value)


def _tell(id_: str, found: Explanation, limit: int) -> None:
    # What people imported may look like markup.
    console = Console(markup=False)
    rows, total = found.add_up()
    console.print(Text.assemble((id_, "bold"), f" is {found.value:,}"))
    if found.made_of:
        console.print("It was worked out from:")
        for name, value in found.made_of.items():
            console.print(f"  {name} = {value:,}", highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name in found.columns:
        table.add_column(name.replace("_", " "), no_wrap=True)
    for row in rows[:limit]:
        table.add_row(*(Text(_told(value)) for value in row))
    # A cut value explains nothing: a narrow terminal wraps the lines instead.
    Console(width=max(console.width, _WIDEST)).print(table)
    if len(rows) > limit:
        console.print(f"… and {len(rows) - limit:,} more; --csv writes all of them.")
    if found.made_of:
        console.print(f"These are {len(rows):,} rows.", highlight=False)
    elif total == found.value:
        console.print(f"They add up to {total:,}, as the report says.", highlight=False)
    else:
        console.print(
            f"They add up to {total:,}, and the report says {found.value:,}: something "
            "was learnt after it was made.",
            highlight=False,
        )
