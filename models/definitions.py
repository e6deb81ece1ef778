"""The features: each number's name, unit and meaning, and its words for a person.

The words are templates: `{value}` is the number. Which of the two a reason uses depends
on which side of the training mean an account lies, and whether they are true of it.
"""

import re
from collections.abc import Iterable
from math import inf
from typing import Final, NamedTuple

DEFINITION: Final = "features-3"
"""Changes whenever a feature's meaning does; models refuse another definition."""

INTEGRATION_PREFIX: Final = "integration."
"""Features of the product whose name begins so connect it to another system."""

ONBOARDING_PREFIX: Final = "onboarding."
"""Features of the product whose name begins so are steps of setting it up."""

WINDOWS_DAYS: Final = (7, 30, 90)
WEEKS: Final = 12
FIRST_DAYS: Final = 30
LONG_GAP_DAYS: Final = 30
"""Who was silent so long, and came back, has returned before."""


class Feature(NamedTuple):
    """One number about an account.

    Attributes:
        name: The column.
        unit: What it is counted in.
        meaning: What it says, in a sentence.
        high: What a high value means, in words for a person; `{value}` is the number.
        low: What a low value means.
        high_from: Of smaller numbers the words for a high value are not true.
        low_to: Of larger ones those for a low value are not.
        is_of_a_person: Whether it tells what one person at the account did or said: no
            other person is to read that in a mail.
    """

    name: str
    unit: str
    meaning: str
    high: str
    low: str
    high_from: float = -inf
    low_to: float = inf
    is_of_a_person: bool = False

    def said(self, value: float, *, is_high: bool) -> str | None:
        """Return the words for a number; None where they would not be true of it."""
        if is_high:
            words, is_true = self.high, value >= self.high_from
        else:
            words, is_true = self.low, value <= self.low_to
        return words.format(value=abs(value)) if is_true else None


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
        high_from=0.1,
        low_to=-0.1,
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
        low_to=0.4,
    ),
    Feature(
        "usage_entropy",
        "bits",
        "Shannon entropy of the features used in those 90 days, by events",
        "divided its work evenly among features",
        "did much the same all the time",
        high_from=1.5,
        low_to=1,
    ),
    Feature(
        "events_per_active_day",
        "events",
        "Events on an active day of those 90 days",
        "did {value:.0f} things on a day of use",
        "did only {value:.0f} things on a day of use",
    ),
    Feature(
        "failure_rate",
        "share",
        "Share of all events of those 90 days that failed",
        "{value:.0%} of what it tried failed",
        "what it tried worked",
        low_to=0.02,
    ),
    Feature(
        "weekend_share",
        "share",
        "Share of events on a Saturday or Sunday (UTC)",
        "did {value:.0%} of its work at weekends",
        "worked on weekdays",
        low_to=0.05,
    ),
    Feature(
        "first_month_events",
        "events",
        f"Events in the first {FIRST_DAYS} days of use",
        "began with {value:.0f} events in a month",
        "began with only {value:.0f} events in a month",
    ),
    Feature(
        "usual_gap",
        "days",
        "Mean distance of its active days",
        "used it every {value:.0f} days",
        "used it every {value:.0f} days",
    ),
    Feature(
        "longest_gap",
        "days",
        "Longest distance of two active days in a row",
        "had paused for {value:.0f} days before",
        "never paused for more than {value:.0f} days",
    ),
    Feature(
        "silence_against_rhythm",
        "usual gaps",
        "Days since last use, divided by its usual gap (at least one day)",
        "has been silent {value:.0f} times as long as usual",
        "has been silent only {value:.0f} times as long as usual",
    ),
    Feature(
        "earlier_returns",
        "returns",
        f"How often it came back after {LONG_GAP_DAYS} days or more without use",
        "came back {value:.0f} times before",
        "never paused and came back before",
        high_from=2,
        low_to=0,
    ),
    Feature(
        "onboarding_step",
        "steps",
        f"Different features named {ONBOARDING_PREFIX}… that worked at least once",
        "got {value:.0f} steps into setting it up",
        "got only {value:.0f} steps into setting it up",
    ),
    Feature(
        "days_to_onboarding_step",
        "days",
        "From the first event to the first use of the last such step",
        "took {value:.0f} days to set it up",
        "set it up within {value:.0f} days",
    ),
    Feature(
        "integrations_connected",
        "integrations",
        f"Different features named {INTEGRATION_PREFIX}… that worked at least once",
        "had {value:.0f} integrations running",
        "had only {value:.0f} integrations running",
    ),
    Feature(
        "integration_attempts",
        "events",
        f"Events of features named {INTEGRATION_PREFIX}… in those 90 days",
        "tried integrations {value:.0f} times",
        "hardly tried integrations",
        low_to=3,
    ),
    Feature(
        "integration_failure_rate",
        "share",
        "Share of those integration events that failed; 0 where none was tried",
        "its integrations failed {value:.0%} of the time",
        "none of its integrations failed",
        low_to=0,
    ),
    Feature(
        "top_contact_share",
        "share",
        "Share of the busiest person in all events that name one",
        "one person did {value:.0%} of the work",
        "many people worked with it",
        low_to=0.4,
        is_of_a_person=True,
    ),
    Feature(
        "top_contact_silence",
        "days",
        "From the busiest person's last event to the account's last event",
        "its busiest person stopped {value:.0f} days before the others",
        "its busiest person stayed to the end",
        high_from=3,
        low_to=3,
        is_of_a_person=True,
    ),
    Feature(
        "active_users_30d",
        "people",
        "Different people in the 30 days before last use",
        "{value:.0f} people used it in its last month",
        "only {value:.0f} people used it in its last month",
    ),
    Feature(
        "active_users_90d",
        "people",
        "Different people in the 90 days before last use",
        "{value:.0f} people used it",
        "only {value:.0f} people used it",
    ),
    Feature(
        "seat_use",
        "share",
        "Active people of those 90 days, divided by the seats of the last contract",
        "used {value:.0%} of its seats",
        "used only {value:.0%} of its seats",
    ),
    Feature(
        "tickets_90d",
        "tickets",
        "Tickets opened in the 90 days before last use or later; unknown where there "
        "was no use, or no account has any",
        "asked for help {value:.0f} times near the end",
        "asked for help only {value:.0f} times near the end",
    ),
    Feature(
        "days_since_last_ticket",
        "days",
        "From the last ticket to the date",
        "last asked for help {value:.0f} days ago",
        "asked for help {value:.0f} days ago",
    ),
    Feature(
        "nps",
        "0 to 10",
        "The last answer to whether it would recommend us; the mean of several at once",
        "would recommend us ({value:.0f} of 10)",
        "would not recommend us ({value:.0f} of 10)",
        high_from=9,
        low_to=6,
        is_of_a_person=True,
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
        high_from=0.005,
        low_to=0,
    ),
    Feature(
        "seats",
        "seats",
        "Seats of the last paid subscription",
        "had {value:.0f} seats",
        "had only {value:.0f} seats",
    ),
    Feature(
        "plan_changes",
        "changes",
        "Paid subscriptions begun after the first one",
        "changed its plan {value:.0f} times",
        "never changed its plan",
        high_from=2,
        low_to=0,
    ),
    Feature(
        "discount_share",
        "share",
        "Discount of the last paid subscription, as a share of its price",
        "had a discount of {value:.0%}",
        "paid the full price",
        high_from=0.005,
        low_to=0,
    ),
    Feature(
        "ended_for_price",
        "0 or 1",
        "Whether the reason given for the end speaks of price, cost or budget",
        "said that price was the reason",
        "did not speak of price",
        high_from=1,
        low_to=0,
    ),
)

FEATURE_NAMES: Final = tuple(feature.name for feature in FEATURES)

_OF_A_PERSON: Final = re.compile(
    "|".join(
        re.sub(r"\\{value[^}]*\\}", "[0-9.%]+", re.escape(words))
        for feature in FEATURES
        if feature.is_of_a_person
        for words in (feature.high, feature.low)
    )
)


def fit_for_mail(reasons: Iterable[str]) -> list[str]:
    """Return the reasons that anybody at the account may read.

    What one person there did or said is for those who work with the account.

    >>> fit_for_mail(["would not recommend us (3 of 10)", "had 12 seats"])
    ['had 12 seats']
    """
    return [each for each in reasons if not _OF_A_PERSON.fullmatch(each)]


THEMES: Final[dict[str, tuple[str, ...]]] = {
    "how much it used it": (
        "events_7d",
        "events_30d",
        "events_90d",
        "active_days_7d",
        "active_days_30d",
        "active_days_90d",
        "decline_per_week",
        "longest_gap",
        "earlier_returns",
        "first_month_events",
        "events_per_active_day",
    ),
    "what for": (
        "breadth",
        "top_feature_share",
        "usage_entropy",
        "weekend_share",
        "integrations_connected",
        "onboarding_step",
        "days_to_onboarding_step",
    ),
    "what failed": (
        "failure_rate",
        "integration_failure_rate",
        "integration_attempts",
        "tickets_90d",
    ),
    "who": (
        "top_contact_share",
        "top_contact_silence",
        "active_users_30d",
        "active_users_90d",
        "seat_use",
    ),
    "price": ("mrr_growth", "plan_changes", "discount_share", "ended_for_price"),
    "what it said": ("nps",),
}
"""Features that say much the same: a reason is the sum of a theme's, named by its most.

Where features say the same, a model shares its weight out among them, and none alone
says how much speaks for a segment. How long an account was here, or is gone, what it
paid and how large it was are in no theme: they tell segments apart, and explain none.
"""
