"""The features: each number's name, unit and meaning, and its words for a person.

The words are templates: `{value}` is the number. Which of the two a reason uses depends
on which side of the training mean an account lies.
"""

from typing import Final, NamedTuple

DEFINITION: Final = "features-1"
"""Changes whenever a feature's meaning does; models refuse another definition."""

INTEGRATION_PREFIX: Final = "integration."
"""Features of the product whose name begins so connect it to another system."""

WINDOWS_DAYS: Final = (7, 30, 90)
WEEKS: Final = 12


class Feature(NamedTuple):
    """One number about an account.

    Attributes:
        name: The column.
        unit: What it is counted in.
        meaning: What it says, in a sentence.
        high: What a high value means, in words for a person; `{value}` is the number.
        low: What a low value means.
    """

    name: str
    unit: str
    meaning: str
    high: str
    low: str


def _counts(name: str, unit: str, meaning: str, words: str) -> list[Feature]:
    return [
        Feature(
            f"{name}_{days}d",
            unit,
            f"{meaning} in the {days} days before last use",
            f"{{value:.0f}} {words} in its last {days} days of use",
            f"only {{value:.0f}} {words} in its last {days} days of use",
        )
        for days in WINDOWS_DAYS
    ]


FEATURES: Final[tuple[Feature, ...]] = (
    Feature(
        "days_since_last_use",
        "days",
        "From the last event to the date",
        "silent for {value:.0f} days",
        "used it {value:.0f} days ago",
    ),
    Feature(
        "days_since_churn",
        "days",
        "From the churn to the date",
        "left {value:.0f} days ago",
        "left only {value:.0f} days ago",
    ),
    *_counts("events", "events", "Events", "events"),
    *_counts("active_days", "days", "Days with an event", "active days"),
    Feature(
        "decline_per_week",
        "events per week, per week",
        f"Slope of weekly events over the {WEEKS} weeks before last use",
        "use was growing when it stopped",
        "use fell by {value:.1f} events a week, week after week",
    ),
    Feature(
        "breadth",
        "features",
        "Different features used in the 90 days before last use",
        "worked with {value:.0f} different features",
        "worked with only {value:.0f} features",
    ),
    Feature(
        "top_feature_share",
        "share",
        "Share of the most used feature in the events of those 90 days",
        "{value:.0%} of its use was one feature",
        "spread its use over many features",
    ),
    Feature(
        "integration_attempts",
        "events",
        f"Events of features named {INTEGRATION_PREFIX}… in those 90 days",
        "tried integrations {value:.0f} times",
        "hardly tried integrations",
    ),
    Feature(
        "integration_failure_rate",
        "share",
        "Share of those integration events that failed; 0 where none was tried",
        "its integrations failed {value:.0%} of the time",
        "its integrations worked",
    ),
    Feature(
        "top_contact_share",
        "share",
        "Share of the busiest person in all events that name one",
        "one person did {value:.0%} of the work",
        "many people worked with it",
    ),
    Feature(
        "top_contact_silence",
        "days",
        "From the busiest person's last event to the account's last event",
        "its busiest person stopped {value:.0f} days before the others",
        "its busiest person stayed to the end",
    ),
    Feature(
        "tenure",
        "days",
        "From the first sign of the account to its last use",
        "was with us for {value:.0f} days",
        "was with us for only {value:.0f} days",
    ),
    Feature(
        "mrr",
        "currency units a month",
        "Monthly recurring revenue of the last paid subscription",
        "paid {value:.0f} a month",
        "paid only {value:.0f} a month",
    ),
    Feature(
        "mrr_growth",
        "share",
        "Change of the last paid subscription's revenue against the first one's",
        "its price rose by {value:.0%}",
        "its price did not rise",
    ),
    Feature(
        "seats",
        "seats",
        "Seats of the last paid subscription",
        "had {value:.0f} seats",
        "had only {value:.0f} seats",
    ),
    Feature(
        "ended_for_price",
        "0 or 1",
        "Whether the reason given for the end speaks of price, cost or budget",
        "said that price was the reason",
        "did not speak of price",
    ),
)

FEATURE_NAMES: Final = tuple(feature.name for feature in FEATURES)
