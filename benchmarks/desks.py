"""The desk that a benchmark's sender works at."""

import time
from typing import Any

from campaigns.rules.pacing import Policy
from campaigns.simulation.trials import composer
from campaigns.steps.desk import Desk
from campaigns.store.session import Sessions
from campaigns.wiring.sending import at_once


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
        "remember": lambda _attempt: None,
        "default_time_zone": "UTC",
        "policy": Policy(),
        "per_request": 1,
        "should_stop": lambda: False,
    }
    return Desk(**(settings | changes))
