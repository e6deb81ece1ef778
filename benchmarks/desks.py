"""The desk that a benchmark's sender works at."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from campaigns.rules.pacing import Policy
from campaigns.simulation.trials import composer
from campaigns.steps.copies import CopyGuard
from campaigns.steps.desk import Desk
from campaigns.store.session import Sessions
from campaigns.store.watermark import Watermark
from campaigns.wiring.sending import at_once

_MARKS: Final = TemporaryDirectory(prefix="winback-marks-")


def guard(sessions: Sessions, mark: Watermark | None = None) -> CopyGuard:
    """Return the guard of a database that began here; its mark is a file."""
    file = Path(_MARKS.name) / f"{time.monotonic_ns()}.json"
    made = CopyGuard(sessions, mark or Watermark(file))
    made.raise_mark()
    return made


def desk(sessions: Sessions, ses: Any, **changes: Any) -> Desk:
    """Return a desk that posts by `ses`, one mail after the other unless changed."""
    settings: dict[str, Any] = {
        "sessions": sessions,
        "send": ses.send_all,
        "quota": ses.quota,
        "composer": composer(),
        "start": at_once,
        "senders": 1,
        "sleep": time.sleep,
        "guard": changes.get("guard") or guard(sessions),
        "default_time_zone": "UTC",
        "policy": Policy(),
        "per_request": 1,
        "should_stop": lambda: False,
    }
    return Desk(**(settings | changes))
