"""Sentences: numbers in words that a person who knows no statistics can act on."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from campaigns.domain.words import Verdict
from campaigns.present.lines import Comparison
from campaigns.rules.measure.rates import Estimate

_MINOR_DIGITS: Final = {
    # By ISO 4217; all others have two.
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
}
_SEEN: Final = 0.001
"""What a reader sees: a tenth of a point."""
NEXT_STEP: Final = {
    Verdict.CANNOT_TELL_YET: "Wait. Stopping or widening the campaign on these numbers "
    "would be a guess.",
    Verdict.WORKS: "Go on.",
    Verdict.LIFT_CHANGED: "Look at the cohorts one by one: something changed between "
    "them, such as the mails, the audience or the product. Start a new campaign for "
    "what runs now.",
    Verdict.HARMS: "Stop the campaign: accounts come back more often without it.",
    Verdict.NO_DIFFERENCE_SHOWN: "Change the mails or the audience before running it "
    "again.",
    Verdict.TOO_FEW: "Run it again with more accounts or a larger holdout; `winback "
    "campaign power` says how many it takes.",
    Verdict.NO_HOLDOUT: "Set a holdout: without one nobody can say what mails do.",
    Verdict.MISMATCH: "Quote no number of this campaign.",
    Verdict.STALE_DATA: "Import use and subscriptions; the report says more then.",
    Verdict.TOO_GOOD: "Look at some of the accounts that came back: an import that "
    "touched them all at once, or a test of your own, looks just like this.",
}
_LEADS: Final = {
    Verdict.WORKS: "The mails bring accounts back.",
    Verdict.HARMS: "The mails keep accounts away.",
    Verdict.LIFT_CHANGED: "No single difference fits all cohorts.",
    Verdict.NO_DIFFERENCE_SHOWN: "No difference was shown.",
    Verdict.TOO_FEW: "Too few accounts to tell.",
    Verdict.NO_HOLDOUT: "Cannot say what the mails do: an arm is empty.",
    Verdict.MISMATCH: "This comparison is spoiled.",
    Verdict.STALE_DATA: "Nobody knows who came back lately.",
    Verdict.TOO_GOOD: "Too good to be believed before somebody has looked.",
}


_LEADS_OF_ALL: Final = _LEADS | {
    Verdict.WORKS: "Taken together, the mails bring accounts back.",
    Verdict.HARMS: "Taken together, the mails keep accounts away.",
    Verdict.CANNOT_TELL_YET: "Cannot tell yet what all mails together do.",
}
_NEXT_STEP_OF_ALL: Final = NEXT_STEP | {
    Verdict.WORKS: "Go on: no campaign shows it alone yet, all of them together do.",
    Verdict.HARMS: "Stop the campaigns below that bring nobody back.",
    Verdict.CANNOT_TELL_YET: "Wait. The campaigns below say what is known of each.",
    Verdict.NO_DIFFERENCE_SHOWN: "Change the mails or the audiences before the next "
    "campaign; more of the same is not known to help.",
    Verdict.TOO_FEW: "Write to more accounts, or hold out more of them; `winback "
    "campaign power` says how many a campaign takes.",
}


def percent(share: float) -> str:
    """Return a share as people read it.

    >>> percent(0.1342)
    '13.4 %'
    """
    return f"{share:.1%}".replace("%", " %")


def points(estimate: Estimate) -> str:
    """Return a difference of two shares, with its interval, in percentage points.

    >>> points(Estimate(0.131, 0.106, 0.154))
    '+13.1 points (+10.6 to +15.4)'
    >>> points(Estimate(0.03, 0.068, 0.052))
    '+3.0 points (which does not fit all cohorts)'
    """
    value, low, high = (signed(each) for each in estimate)
    if estimate.low > estimate.high:
        return f"{value} points (which does not fit all cohorts)"
    return f"{value} points ({low} to {high})"


def signed(share: float) -> str:
    """Return a difference of two shares in percentage points.

    >>> signed(-0.228)
    '−22.8'
    """
    rounded = round(share * 100, 1)
    return f"{rounded + 0:+.1f}".replace("-", "−")


def number(count: int) -> str:
    """Return a count with thin separators.

    >>> number(12345)
    '12,345'
    """
    return f"{count:,}"


def amount(minor: float, currency: str) -> str:
    """Return money as people read it.

    >>> amount(1234500, "EUR")
    '12,345 EUR'
    """
    whole = round(minor / 10 ** _MINOR_DIGITS.get(currency, 2))
    return f"{whole:,} {currency}".replace("-", "−")


def nps(score: float) -> str:
    """Return a net promoter score, which is told of a hundred answers.

    >>> nps(-0.375)
    '−38'
    """
    return f"{round(100 * score) + 0:+d}".replace("-", "−")


def day(moment: datetime) -> str:
    """Return a date as people write it.

    >>> day(datetime(2026, 3, 25))
    '25 March 2026'
    """
    return f"{moment.day} {moment:%B %Y}"


def verdict_sentence(
    verdict: Verdict,
    comparison: Comparison,
    *,
    window_days: Collection[int],
    last_window_ends_at: datetime | None,
    lead: str | None = None,
) -> str:
    """Return the one sentence that comes first.

    Args:
        verdict: What may be claimed.
        comparison: By which numbers.
        window_days: For how long returns counted.
        last_window_ends_at: When the verdict falls due; None if not yet known.
        lead: What to begin with; None for the verdict's own words.
    """
    lead = lead or _LEADS.get(verdict, "")
    facts = _facts(comparison, window_days)
    if verdict is Verdict.CANNOT_TELL_YET:
        when = (
            f"The last planned cohort's window closes on {day(last_window_ends_at)}."
            if last_window_ends_at
            else "Not all planned cohorts are enrolled."
        )
        return f"Cannot tell yet. {facts or 'No window has closed so far.'} {when}"
    if verdict is Verdict.MISMATCH:
        return f"{lead} The numbers below say nothing about the mails."
    return f"{lead} {facts} {_in_accounts(verdict, comparison)}".rstrip()


def _in_accounts(verdict: Verdict, comparison: Comparison) -> str:
    """Return what a lift that was shown is in accounts."""
    lift = comparison.lift
    if lift is None or verdict not in {Verdict.WORKS, Verdict.HARMS}:
        return ""
    ends = sorted(abs(each) * comparison.treated.accounts for each in lift[1:])
    about = number(round(abs(lift.value) * comparison.treated.accounts))
    low, high = (number(round(each)) for each in ends)
    did = "brought back" if verdict is Verdict.WORKS else "kept away"
    return f"That is about {about} accounts that the mails {did} ({low} to {high})."


def programme_sentence(
    verdict: Verdict, comparison: Comparison, *, window_days: Collection[int]
) -> str:
    """Return the one sentence on all campaigns together."""
    facts = _facts(comparison, window_days)
    if not _is_as_it_seems(comparison):
        facts += " Each cohort weighs in it what it can say."
    told = f"{_LEADS_OF_ALL[verdict]} {facts} {_in_accounts(verdict, comparison)}"
    return told.rstrip()


def _is_as_it_seems(comparison: Comparison) -> bool:
    """Say whether a lift is what the rates beside it seem to make it."""
    ours, theirs, lift = (
        comparison.treated_rate,
        comparison.holdout_rate,
        comparison.lift,
    )
    if ours is None or theirs is None or lift is None:
        return True
    return abs(ours.value - theirs.value - lift.value) < _SEEN


def programme_next_step(verdict: Verdict, working: Sequence[str]) -> str:
    """Return what a reader of all campaigns can do now.

    Args:
        verdict: That on all of them.
        working: The campaigns that are shown to work by themselves.
    """
    if verdict is Verdict.WORKS and working:
        names = ", ".join(working)
        return f"Go on with {names}; what to do with the others is said below."
    return _NEXT_STEP_OF_ALL[verdict]


def _window(days: Collection[int]) -> str:
    least, most = min(days), max(days)
    return f"{most} days" if least == most else f"{least} to {most} days"


def _facts(comparison: Comparison, window_days: Collection[int]) -> str:
    treated, holdout = comparison.treated_rate, comparison.holdout_rate
    parts = []
    if treated:
        parts.append(
            f"Of {number(comparison.treated.accounts)} accounts written to, "
            f"{percent(treated.value)} came back within {_window(window_days)}"
        )
    if holdout:
        held_out = number(comparison.holdout.accounts)
        parts.append(f"of {held_out} held out, {percent(holdout.value)}")
    text = "; ".join(parts)
    if comparison.lift:
        text += f": {points(comparison.lift)}"
    return f"{text}." if text else ""


def baseline_sentence(
    comparison: Comparison, *, baseline: float, accounts: int | None
) -> str:
    """Return how the treated rate compares with the pilot's, apart from any cause."""
    over, rate = comparison.over_pilot, comparison.treated_rate
    if over is None or rate is None:
        return "Nothing to hold against the pilot's rate yet."
    word = "not clearly different"
    if over.low > 0:
        word = "higher"
    elif over.high < 0:
        word = "lower"
    pilot = (
        f"{number(accounts)} accounts"
        if accounts
        else "an unknown number of accounts, so it is taken as certain"
    )
    return (
        f"For background, against the pilot's {percent(baseline)} ({pilot}): "
        f"{percent(rate.value)} ({percent(rate.low)} to {percent(rate.high)}) is "
        f"{word}. Whether the mails make a difference can be told only by the accounts "
        "held out."
    )


def plain_word(word: str) -> str:
    """Return a stored word as people read it.

    >>> plain_word("all_contacts_suppressed")
    'all contacts suppressed'
    """
    return word.replace("_", " ")
