"""What `winback doctor` finds, one thing at a time."""

from typing import NamedTuple


class Check(NamedTuple):
    """One finding: how it is, about what, and what to do."""

    status: str
    what: str
    finding: str
    remedy: str = ""
