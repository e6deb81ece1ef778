"""Remarks: what a reader must know beside the verdict."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from campaigns.domain.campaign import SEGMENT_PLACEHOLDER
from campaigns.domain.values import CampaignStatus
from campaigns.domain.words import CampaignState, Verdict
from campaigns.present.lines import GroupLine, MoneyLine, StayLine, TextLine
from campaigns.present.report import CampaignReport, Programme
from campaigns.present.words import (
    NEXT_STEP,
    amount,
    day,
    number,
    percent,
    plain_word,
    points,
)
from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.verdict import STALE_AFTER, Soundness

_WORTH_HAVING: Final = 0.05
"""A lift that it would be a pity to have missed."""


def lead(found: CampaignReport, soundness: Soundness) -> str | None:
    """Return what the first sentence begins with; None for the verdict's own words."""
    known = [line for line in found.stays if line.lift is not None]
    if found.verdict is Verdict.WORKS and known and _are_visitors(known):
        line = known[-1]
        left = points(line.lift) if line.lift else "not known"
        return (
            "The mails bring accounts back, but those do not stay: "
            f"{line.days} days after coming back the difference is {left}."
        )
    if found.verdict is not Verdict.MISMATCH:
        return None
    loss, leak = soundness.loss, soundness.leak
    if loss is not None and loss.is_alarming:
        return (
            f"This comparison is spoiled: of the accounts written to, "
            f"{percent(loss.treated)} are missing where returns are counted, of those "
            f"held out {percent(loss.holdout)}. Chance does not do that."
        )
    return (
        f"This comparison is spoiled: {number(leak.returned)} of "
        f"{number(leak.accounts)} accounts that were to be left alone were written to."
    )


def next_step(
    found: CampaignReport, status: CampaignStatus, soundness: Soundness
) -> str:
    """Return what a reader can do now."""
    verdict, lift = found.verdict, found.comparison.lift
    step = NEXT_STEP[verdict]
    if verdict is Verdict.WORKS and _are_visitors(found.stays):
        return (
            "Do not widen it yet: those that the mails bring do not stay like others. "
            "See below, and change what the mails promise."
        )
    if verdict is Verdict.WORKS:
        return f"{step} {_of_segments(found.breakdowns[0].lines)}".rstrip()
    if verdict is Verdict.MISMATCH:
        return f"{step} {_of_spoiled(soundness)}"
    if verdict is Verdict.NO_DIFFERENCE_SHOWN and lift is not None:
        return _where_none_was_shown(step, lift)
    is_open = verdict is Verdict.CANNOT_TELL_YET
    if status.state is CampaignState.PAUSED and is_open:
        return (
            f"Settle why it is paused, then run `winback campaign resume "
            f"{status.name}`, or leave it paused."
        )
    return step


def _of_segments(segments: Sequence[GroupLine]) -> str:
    lifts = [each.comparison.lift for each in segments if each.comparison.lift]
    if len(lifts) < 2:  # noqa: PLR2004 — one differs from no other
        return ""
    if max(each.low for each in lifts) <= min(each.high for each in lifts):
        return "No segment is shown to differ from another: drop none on these numbers."
    return "Segments differ: see below which of them the mails bring back."


def _of_spoiled(soundness: Soundness) -> str:
    if soundness.loss is not None and soundness.loss.is_alarming:
        return "Find out what took those accounts away."
    return "Find out who wrote to them, and stop it; a new campaign can be compared."


def _where_none_was_shown(step: str, lift: Estimate) -> str:
    most = f"{lift.high * 100:.1f} points"
    if lift.high > _WORTH_HAVING:
        return (
            f"It may still help, by up to {most}: more accounts would show it. {step}"
        )
    return f"{step} If these mails help at all, then by less than {most}."


def warnings(
    found: CampaignReport,
    soundness: Soundness,
    status: CampaignStatus,
    *,
    told_until: datetime | None,
    definitions: Collection[str],
    current: str,
) -> tuple[str, ...]:
    """Return what a reader must know before believing a number."""
    return (
        # A spoiled comparison begins with what spoiled it.
        *(_of_arms(soundness) if found.verdict is not Verdict.MISMATCH else ()),
        *_of_change(found.comparison.lift),
        *_of_definitions(definitions, current),
        *_of_data(soundness.unknown_for, told_until),
        *_of_state(status),
        *(_of_money(line) for line in found.money if line.hangs_on_one),
    )


def _of_change(lift: Estimate | None) -> Iterator[str]:
    # An end that made room for the value lies just there.
    if lift is not None and abs(lift.value) < 1 and lift.value in lift[1:]:
        yield (
            "The difference lies outside of what earlier cohorts had shown: it may "
            "have changed. Look at the cohorts one by one."
        )


def _of_arms(soundness: Soundness) -> Iterator[str]:
    loss, leak = soundness.loss, soundness.leak
    if loss is not None and loss.is_alarming:
        yield (
            f"Of the accounts written to, {percent(loss.treated)} are missing where "
            f"returns are counted, of those held out {percent(loss.holdout)}. Chance "
            "does not do that; whatever took them away may be all the difference there "
            "is."
        )
    if leak.returned:
        yield (
            f"{number(leak.returned)} of {number(leak.accounts)} held-out accounts "
            "were written to all the same. What mails did is partly in both arms."
        )


def programme_warnings(
    left_out: Mapping[str, Verdict], *, definitions: Collection[str], current: str
) -> tuple[str, ...]:
    """Return what a reader of all campaigns together must know.

    Args:
        left_out: The campaigns that are not counted, and why.
        definitions: By which definitions of a win-back the others were counted.
        current: The one that holds now.
    """
    why = {
        Verdict.MISMATCH: "whose arms cannot be compared",
        Verdict.TOO_GOOD: "too good to be believed before somebody has looked",
    }
    named = "; ".join(f"{name}, {why[doubt]}" for name, doubt in left_out.items())
    return (
        *([f"Not counted here: {named}."] if named else []),
        *_of_definitions(definitions, current),
    )


def stands(campaign: CampaignReport, programme: Programme) -> str:
    """Return whether a campaign's effect stands when all are judged at once."""
    if campaign.name not in programme.campaigns:
        return "–"
    if campaign.name in programme.standing:
        return "yes"
    is_over = len(campaign.cohorts) >= campaign.cohorts_planned
    return "no" if is_over else "not yet"


def _of_definitions(definitions: Collection[str], current: str) -> Iterator[str]:
    if set(definitions) - {current}:
        mixed = (
            " Each cohort is counted alike in both arms, so the difference holds; the "
            "rates mix the two."
        )
        yield (
            "What counts as a win-back was changed: closed cohorts were counted by "
            f"{', '.join(sorted(definitions))}, and {current} holds now."
            + (mixed if len(definitions) > 1 else "")
        )


def _of_data(unknown_for: timedelta, told_until: datetime | None) -> Iterator[str]:
    if unknown_for <= STALE_AFTER:
        return
    if told_until is None:
        yield "Nothing that was imported tells who came back."
    else:
        yield (
            f"What was imported tells of nothing after {day(told_until)}: who came "
            "back since is not known."
        )


def _of_state(status: CampaignStatus) -> Iterator[str]:
    if status.state is CampaignState.PAUSED and status.paused_at is not None:
        because = status.paused_because or "somebody paused it"
        yield f"Paused since {day(status.paused_at)}: {because}."


def _of_money(line: MoneyLine) -> str:
    return (
        f"One account pays {percent(line.largest_share)} of the regained revenue in "
        f"{line.currency}: without it the sum says something else."
    )


def _are_visitors(lines: Sequence[StayLine]) -> bool:
    """Say whether those that the mails brought leave again, and take the lift along."""
    known = [line for line in lines if line.kept is not None]
    return bool(known) and _stay_less(known[-1]) and not _lasts(known[-1])


def _stay_less(line: StayLine) -> bool:
    return line.kept is not None and line.kept.high < 0


def _lasts(line: StayLine) -> bool:
    return line.lift is not None and line.lift.low > 0


_SAYS_NOTHING: Final = {
    Verdict.MISMATCH: "A spoiled comparison does not say who stays either.",
    Verdict.TOO_GOOD: "Who stays says nothing before somebody has looked.",
}


def stay_sentence(lines: Sequence[StayLine], verdict: Verdict) -> str:
    """Return whether what came back stays, as far as it is known."""
    known = [line for line in lines if line.lift is not None]
    if verdict in _SAYS_NOTHING:
        return _SAYS_NOTHING[verdict]
    if not known:
        return "Nobody came back so long ago that it is known who stayed."
    line = known[-1]
    if not _stay_less(line):
        return _whether_it_lasts(line, verdict)
    ours, theirs = line.treated_back, line.holdout_back
    told = (
        f"Those that came back after a mail do not stay like others: {line.days} days "
        f"after coming back, {_share(ours.returned, ours.accounts)} of them are still "
        f"here, and {_share(theirs.returned, theirs.accounts)} of those that came by "
        "themselves. Look at what brought them, such as a discount."
    )
    return f"{_whether_it_lasts(line, verdict)} {told}" if _lasts(line) else told


def _whether_it_lasts(line: StayLine, verdict: Verdict) -> str:
    after = f"{line.days} days after coming back"
    ours, theirs, lift = line.treated_back, line.holdout_back, line.lift
    if lift is not None and lift.low > 0:
        return f"It lasts: {after} the difference is {points(lift)}."
    if lift is not None and lift.high < 0:
        return f"It lasts: {after} those written to are behind: {points(lift)}."
    if verdict is Verdict.NO_DIFFERENCE_SHOWN:
        return "No difference was shown that could last."
    return (
        f"Whether it lasts is open: {after}, {number(ours.returned)} of "
        f"{number(ours.accounts)} that were written to and {number(theirs.returned)} "
        f"of {number(theirs.accounts)} that were held out are still here."
    )


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else "none"


def money_sentence(line: MoneyLine, verdict: Verdict) -> str:
    """Return what the mails added in one currency, as far as it may be said."""
    runs = f"{amount(line.treated_minor, line.currency)} a month run again"
    if verdict in _SAYS_NOTHING:
        return f"{runs}; what the mails added of it cannot be said."
    if line.added_minor is None:
        return f"{runs}; too few accounts to say what mails added."
    value, low, high = (amount(each, line.currency) for each in line.added_minor)
    return f"{runs}; of it the mails added {value} ({low} to {high}, 95 % at one look)."


def text_sentence(best: str | None, lines: Sequence[TextLine]) -> str:
    """Return which text brings back more, and whether writing personally pays."""
    rates = "; ".join(
        f"“{line.text}” {_share(line.count.returned, line.count.accounts)}"
        for line in lines
    )
    has_both = len({SEGMENT_PLACEHOLDER in line.text for line in lines}) > 1
    if best is None:
        lead = "No text is shown to bring back more than the others"
        also = " Nor is a text for each segment, over one for all." if has_both else ""
        return f"{lead}: {rates}.{also}"
    is_personal = SEGMENT_PLACEHOLDER in best
    also = ""
    if has_both:
        also = (
            " A text for each segment pays."
            if is_personal
            else " One text for all does better than one for each segment."
        )
    return f"“{best}” brings back the most: {rates}.{also} Use it for everyone."


def changes(before: CampaignReport | None, now: CampaignReport) -> tuple[str, ...]:
    """Return what is new since the report of the week before."""
    if before is None:
        return ()
    return tuple(_changes(before, now))


def _changes(before: CampaignReport, now: CampaignReport) -> Iterator[str]:
    if before.verdict is not now.verdict:
        yield (
            f"The verdict was “{plain_word(before.verdict)}” and is "
            f"“{plain_word(now.verdict)}”."
        )
    if before.state != now.state:
        yield f"The campaign was {before.state} and is {now.state}."
    closed = len(now.cohorts) - len(before.cohorts)
    if closed > 0:
        old, new = before.comparison, now.comparison
        yield (
            f"{_counted(closed, 'cohort closed')}: "
            f"{number(new.treated.accounts - old.treated.accounts)} accounts written "
            f"to, {number(new.treated.returned - old.treated.returned)} came back; "
            f"{number(new.holdout.accounts - old.holdout.accounts)} held out, "
            f"{number(new.holdout.returned - old.holdout.returned)} came back."
        )
    if before.comparison.lift and now.comparison.lift and closed > 0:
        yield (
            f"The difference was {points(before.comparison.lift)} and is "
            f"{points(now.comparison.lift)}."
        )
    for what, count in (
        (
            "account enrolled",
            sum(now.funnel.enrolled.values()) - sum(before.funnel.enrolled.values()),
        ),
        (
            "mail sent",
            now.funnel.messages.get("accepted", 0)
            - before.funnel.messages.get("accepted", 0),
        ),
        ("person unsubscribed", now.funnel.unsubscribed - before.funnel.unsubscribed),
    ):
        if count > 0:
            yield f"{_counted(count, what)}."


_MANY: Final = {
    "account enrolled": "accounts enrolled",
    "mail sent": "mails sent",
    "person unsubscribed": "people unsubscribed",
    "cohort closed": "cohorts closed",
}


def _counted(count: int, what: str) -> str:
    """Return a count with its noun.

    >>> _counted(1, "mail sent"), _counted(1200, "mail sent")
    ('1 mail sent', '1,200 mails sent')
    """
    return f"{number(count)} {what if count == 1 else _MANY[what]}"
