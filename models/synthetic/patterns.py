"""How accounts behave: one pattern a segment, with the known effect of a mail."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FEATURES: Final = (
    "onboarding.wizard",
    "compliance.checklist",
    "evidence.upload",
    "policies.editor",
    "reports.dashboard",
    "reports.export",
    "audit.log",
    "team.invite",
    "api.v1",
    "integration.slack",
    "integration.salesforce",
    "integration.warehouse",
)
_CONNECTORS: Final = slice(9, 12)


class Pattern(NamedTuple):
    """How accounts of a segment use the product, leave it, and answer a mail.

    Attributes:
        weight: Share of the segment among accounts.
        tenure_days: Shortest and longest time from signing up to leaving.
        activity: Chance of a working day with use, while all is well.
        breadth: How many features it works with.
        connector_weight: Weight of connectors among what it uses.
        failure_rate: How often its connectors fail.
        champion_share: What the busiest person does of the work.
        organic: Factor on the chance to come back unprompted.
        mail_effect: What the first fitting mail adds to the chance of coming back
            within 30 days; the second adds half of it.
    """

    weight: float
    tenure_days: tuple[int, int]
    activity: float
    breadth: int
    connector_weight: float
    failure_rate: float
    champion_share: float
    organic: float
    mail_effect: float


PATTERNS: Final[dict[str, Pattern]] = {
    "never-activated": Pattern(0.18, (28, 55), 0.18, 2, 0.05, 0.05, 0.5, 0.6, -0.02),
    "blocked-integration": Pattern(
        0.18, (50, 140), 0.45, 4, 0.45, 0.6, 0.45, 0.8, 0.20
    ),
    "slow-fade": Pattern(0.18, (170, 330), 0.65, 5, 0.10, 0.06, 0.4, 1.0, 0.09),
    "lapsed-power-user": Pattern(0.14, (120, 330), 0.85, 9, 0.20, 0.05, 0.3, 1.4, 0.17),
    "price-sensitive": Pattern(0.16, (130, 320), 0.5, 4, 0.10, 0.05, 0.4, 1.2, 0.05),
    "champion-left": Pattern(0.16, (130, 320), 0.6, 6, 0.15, 0.05, 0.78, 0.9, 0.13),
}

_ORGANIC_30_DAYS: Final = ((30, 0.09), (90, 0.06), (180, 0.035), (10_000, 0.015))


def organic_hazard(dormant_days: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the daily chance to come back unprompted, falling with dormancy."""
    limits = np.array([limit for limit, _ in _ORGANIC_30_DAYS])
    monthly = np.array([chance for _, chance in _ORGANIC_30_DAYS])
    place = np.searchsorted(limits, dormant_days, side="right")
    daily: NDArray[np.float64] = 1 - (1 - monthly[place]) ** (1 / 30)
    return daily


def feature_weights(pattern: Pattern, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how an account spreads its work over FEATURES; connectors last."""
    weights = np.zeros(len(FEATURES))
    plain = _CONNECTORS.start
    chosen = rng.choice(plain, size=min(pattern.breadth, plain), replace=False)
    weights[chosen] = rng.dirichlet(np.full(len(chosen), 1.5))
    weights *= 1 - pattern.connector_weight
    favourite = rng.integers(_CONNECTORS.start, _CONNECTORS.stop)
    weights[favourite] = pattern.connector_weight
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def daily_activity(
    name: str, tenure: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the chance of use on each day from signing up to the last use."""
    pattern = PATTERNS[name]
    days = np.arange(tenure)
    chance = np.full(tenure, pattern.activity * rng.uniform(0.75, 1.2))
    if name == "never-activated":
        chance *= np.exp(-days / rng.uniform(5, 9))
    elif name == "slow-fade":
        fading = tenure - rng.integers(90, 130)
        chance *= np.where(days > fading, np.exp(-(days - fading) / 40), 1.0)
    weekday_only: NDArray[np.float64] = np.clip(chance, 0, 0.95)
    return weekday_only
