"""Guard-rails: when a campaign's bounces or complaints are too many to go on.

As events come in, a sequential probability ratio is looked at: how much likelier the
counts are under a harmful rate than under a harmless one. Once it is 100 to one the
campaign pauses. However often one looks, a campaign with the harmless rate is stopped
in at most one case of a hundred. Gmail tells SES of no complaints: none is counted.

Sources: A. Wald, Sequential Analysis, 1947; the bound for endless looking is Ville's
inequality. The rates are those at which SES puts accounts under review (bounces 5 %),
and at which Gmail stops mitigating (complaints 0.3 %).
https://docs.aws.amazon.com/ses/latest/dg/reputationdashboardmessages.html
https://support.google.com/a/answer/14229414
"""

from math import log
from typing import Final, NamedTuple

_EVIDENCE: Final = log(100)


class Guard(NamedTuple):
    """One rail.

    Attributes:
        what: What is counted, in words.
        harmless: A rate that campaigns may have.
        harmful: A rate that must not last.
    """

    what: str
    harmless: float
    harmful: float


BOUNCES: Final = Guard("hard bounces", 0.025, 0.05)
COMPLAINTS: Final = Guard("complaints", 0.0005, 0.003)  # two never weigh enough


class Feedback(NamedTuple):
    """What came back of a campaign's mails since it was started or resumed.

    Attributes:
        known: Mails whose delivery or bounce is known.
        bounced: Those that bounced for good.
        complained: Those that somebody complained about.
    """

    known: int
    bounced: int
    complained: int


def evidence(guard: Guard, *, count: int, mails: int) -> float:
    """Return the logarithm of how much likelier the harmful rate is.

    >>> round(evidence(BOUNCES, count=20, mails=200), 2)
    9.19
    """
    of_one = log(guard.harmful / guard.harmless)
    of_other = log((1 - guard.harmful) / (1 - guard.harmless))
    return count * of_one + (mails - count) * of_other


def reason_to_pause(feedback: Feedback) -> str | None:
    """Return why a campaign must pause, or None.

    >>> reason_to_pause(Feedback(known=100, bounced=2, complained=0))
    >>> reason_to_pause(Feedback(known=100, bounced=12, complained=0))
    '12 hard bounces of 100 mails: above 2.5 %, and 5 % puts the account at risk'
    """
    for guard, count in (
        (BOUNCES, feedback.bounced),
        (COMPLAINTS, feedback.complained),
    ):
        strength = evidence(guard, count=count, mails=feedback.known)
        if strength >= _EVIDENCE:
            return (
                f"{count} {guard.what} of {feedback.known} mails: above "
                f"{guard.harmless * 100:g} %, and {guard.harmful * 100:g} % puts the "
                "account at risk"
            )
    return None
