"""Points: the places between two effects, where a process may die."""

from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
Watch = Callable[[str], None]
"""Is told of each point that is passed; raises Killed to end the process there."""


class Killed(BaseException):
    """The simulated process died: nothing of it goes on, not even an except clause."""


def watched(
    act: Callable[..., Result], name: str, watch: Watch
) -> Callable[..., Result]:
    """Return `act` with a point before it and one after it."""

    def between(*args: object) -> Result:
        watch(f"before {name}")
        result = act(*args)
        watch(f"after {name}")
        return result

    return between
