"""What accounts do and say afterwards: features used again, and answers to NPS."""

import pytest
from sqlalchemy import text

from campaigns.config import WinBackSettings
from campaigns.domain.records import Nps
from campaigns.domain.values import ImportCounts
from campaigns.domain.words import Arm
from campaigns.present.lines import Adoption, Answers
from campaigns.present.pages import Pages
from campaigns.shipped import templates_folder
from campaigns.steps import report
from campaigns.steps.settle import settle
from campaigns.store import afterwards, imports, records
from campaigns.store.usage import UsageLake
from tests.factories import (
    NOON,
    add_account,
    address_hash,
    campaign,
    churn,
    keep_usage,
    launch,
    usage,
)
from tests.integration.test_lasting import (
    CLOSED,
    DAY,
    arms,
    reporting,
    settled,
    subscribed,
)

NOW = CLOSED + 31 * DAY


@pytest.fixture
def lake(tmp_path):
    return UsageLake(tmp_path / "usage")


def started(sessions, count, persona_of=lambda _: "Editor", segment_of=lambda _: None):
    """Enrol accounts, half of them held out, and return both arms."""
    accounts = [f"acc-{n:03}" for n in range(count)]
    with sessions.begin() as session:
        for number, account in enumerate(accounts):
            add_account(
                session,
                account,
                persona=persona_of(number),
                account_segment=segment_of(number),
            )
        churn(session, *accounts)
    launch(sessions, campaign(), holdout_share=0.5)
    return arms(sessions)


def used(account, *days, features=("a",)):
    return [
        usage(account, (NOON + day * DAY).isoformat(), feature=feature)
        for day in days
        for feature in features
    ]


def answered(sessions, *answers):
    with sessions.begin() as session:
        told = [
            Nps(account=account, at=NOON + day * DAY, score=score, contact=contact)
            for account, day, score, contact in answers
        ]
        records.put(session, "nps", told, address_hash=address_hash)


def made(sessions, lake, now=NOW):
    settled(sessions, lake, now)
    (found,) = report.gather(reporting(sessions, lake), as_of=now).campaigns
    return found


def test_features_used_again_grow_with_the_days(sessions, lake):
    treated, holdout = started(sessions, 8)
    one, other = treated[:2]
    for account in (one, other, holdout[0]):
        subscribed(sessions, account, 5)
    keep_usage(
        lake,
        *used(one, 1, features="xyz"),  # it is back by this
        *used(one, 5, 7, features="ab"),
        *used(one, 12, features="ac"),  # the seventh day is over
        *used(one, 31, features="e"),  # and the thirtieth
        *used(other, 18, features="f"),
        *used(treated[2], 40),  # never came back
    )
    (line,) = made(sessions, lake).adoption
    week, fortnight, month = line.points

    assert line.persona == "Editor"
    assert [point.days for point in line.points] == [7, 14, 30]
    assert [point.treated for point in line.points] == [
        Adoption(2, 5),
        Adoption(2, 7),
        Adoption(2, 7),
    ]
    assert week.holdout == month.holdout == Adoption(1, 0)
    assert (fortnight.treated_average, fortnight.holdout_average) == (3.5, 0)


def test_each_persona_has_its_line_and_the_days_to_come_are_empty(sessions, lake):
    treated, holdout = started(
        sessions, 12, lambda number: ("Editor", "Owner", None)[number % 3]
    )
    first, *others = *treated, *holdout
    # The whole cohort had a week, and no more; the first to come back tells nothing.
    subscribed(sessions, first, 1)
    for account in others:
        subscribed(sessions, account, 29)
    found = made(sessions, lake, CLOSED + 10 * DAY)

    assert [line.persona for line in found.adoption] == ["Editor", "Owner", "not known"]
    assert sum(line.points[0].treated.accounts for line in found.adoption) == 6
    assert {line.points[2].treated for line in found.adoption} == {Adoption()}
    assert {line.points[2].treated_average for line in found.adoption} == {None}


def test_a_persona_that_changes_later_moves_no_account(sessions, lake):
    treated, _ = started(sessions, 12, lambda number: ("Editor", "Owner")[number % 2])
    for account in treated:
        subscribed(sessions, account, 5)
    with sessions.begin() as session:
        session.execute(text("UPDATE accounts SET persona = 'Administrator'"))
    found = made(sessions, lake)

    (by_persona,) = (part for part in found.breakdowns if part.by == "persona")
    assert [line.name for line in by_persona.lines] == ["Editor", "Owner"]
    assert [line.persona for line in found.adoption] == ["Editor", "Owner"]


def test_what_was_used_counts_once_use_is_known(sessions, lake):
    treated, _ = started(sessions, 8)
    for account in treated:
        subscribed(sessions, account, 5)
    paid = WinBackSettings(counts="paid").definition()

    def points():
        settle(sessions, lake, definition=paid, now=NOW)
        at = reporting(sessions, lake)._replace(win_back=paid)
        (found,) = report.gather(at, as_of=NOW).campaigns
        return [point.treated for line in found.adoption for point in line.points]

    def imported(kind, now):
        with sessions.begin() as session:
            run = imports.begin(session, kind=kind, file="f", sha256=kind, now=now)
            imports.finish(session, run, ImportCounts(taken=1), now=now)

    imported("subscriptions", NOW)
    assert points() == []
    keep_usage(lake, *used(treated[0], 6, 20, features="ab"))
    # Up to then use is known, so the first week of each is, and no more.
    imported("usage", NOON + 13 * DAY)
    assert points() == [Adoption(4, 2), Adoption(), Adoption()]
    imported("usage", NOW)
    assert points() == [Adoption(4, 2), Adoption(4, 2), Adoption(4, 2)]


def test_the_latest_answer_since_enrolment_counts_once_an_account(sessions, lake):
    treated, holdout = started(sessions, 8)
    answered(
        sessions,
        (treated[0], 3, 2, ""),
        (treated[0], 9, 9, "c-1"),
        (treated[0], 5, 0, "c-2"),
        (treated[1], -1, 10, ""),  # before it was enrolled
        (treated[2], 61, 10, ""),  # after the report
        (treated[3], 4, 7, ""),
        (holdout[0], 4, 6, ""),
    )
    (line,) = made(sessions, lake).nps

    assert line.segment == "not known"
    assert line.treated == Answers(accounts=2, promoters=1, detractors=0)
    assert line.holdout == Answers(accounts=1, promoters=0, detractors=1)
    assert (line.treated_score, line.holdout_score) == (0.5, -1)
    assert line.difference is None
    with sessions.begin() as session:
        (first, *_) = afterwards.answers(session, "spring", before=NOW)
    assert (first.arm, first.score) in {(Arm.TREATED, 9), (Arm.HOLDOUT, 6)}


def test_answers_stand_under_the_companys_own_segments(sessions, lake):
    sizes = ("enterprise", "SMB/self-serve", None)
    treated, holdout = started(sessions, 12, segment_of=lambda n: sizes[n % 3])
    answered(sessions, *((account, 3, 9, "") for account in (*treated, *holdout)))
    found = made(sessions, lake).nps

    assert [line.segment for line in found] == [
        "SMB/self-serve",
        "enterprise",
        "not known",
    ]
    assert {line.treated.accounts + line.holdout.accounts for line in found} == {4}


def test_of_answers_at_once_the_order_of_import_decides_nothing(sessions, lake):
    treated, holdout = started(sessions, 8)
    # The one whose contact comes first counts.
    answered(sessions, (treated[0], 3, 2, "c-2"), (treated[0], 3, 9, "c-1"))
    answered(sessions, (holdout[0], 3, 9, "c-1"), (holdout[0], 3, 2, "c-2"))
    (line,) = made(sessions, lake).nps

    assert (line.treated_score, line.holdout_score) == (1, 1)


def test_unanimous_arms_have_no_range(sessions, lake):
    treated, holdout = started(sessions, 64)
    answered(sessions, *((account, 3, 9, "") for account in (*treated, *holdout)))
    (line,) = made(sessions, lake).nps

    assert (line.treated_score, line.difference) == (1, None)


def test_what_failed_is_not_taken_up_again(sessions, lake):
    treated, _ = started(sessions, 8)
    subscribed(sessions, treated[0], 5)
    keep_usage(
        lake,
        *used(treated[0], 6, features="a"),
        usage(treated[0], (NOON + 6 * DAY).isoformat(), feature="b", outcome="failed"),
    )
    (line,) = made(sessions, lake).adoption

    assert line.points[0].treated == Adoption(1, 1)


def test_a_difference_of_scores_needs_thirty_answers_an_arm(sessions, lake):
    treated, holdout = started(sessions, 64)
    answered(
        sessions,
        *((account, 3, 10 if n % 2 else 7, "") for n, account in enumerate(treated)),
        *((account, 3, 0 if n % 4 else 8, "") for n, account in enumerate(holdout)),
    )
    (line,) = made(sessions, lake).nps

    assert (line.treated_score, line.holdout_score) == (0.5, -0.75)
    assert line.difference.value == 1.25
    assert 0.9 < line.difference.low < 1.25 < line.difference.high < 1.6


def test_the_pages_show_both_and_leave_them_out_where_there_is_nothing(sessions, lake):
    treated, _ = started(sessions, 8)
    settled(sessions, lake, NOW)
    at = reporting(sessions, lake)
    pages = Pages(templates_folder())
    empty = report.gather(at, as_of=NOW)
    for page in (pages.report_html(empty), pages.report_markdown(empty)):
        assert "promoter" not in page
        assert "features" not in page.lower().replace("feature adoption", "")

    subscribed(sessions, treated[0], 29)
    answered(sessions, (treated[0], 40, 3, ""))
    keep_usage(lake, *used(treated[0], 29, features="abc"))
    with sessions.begin() as session:
        session.execute(text("DELETE FROM outcomes"))
    settled(sessions, lake, NOW)
    weekly = report.gather(at, as_of=NOW)
    html, told = pages.report_html(weekly), pages.report_markdown(weekly)

    assert "What do they use again?" in html
    assert 'treated_average">3.0<' in html
    assert 'treated_score">−100<' in html
    assert "| Editor | 7 days | 1 | 3.0 | 0 | – |" in told
    assert "| not known | 1 | −100 | 0 | – | – |" in told
