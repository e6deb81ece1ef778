"""From scores to a report: enrolment, returns, windows, the verdict."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from campaigns.config import ChurnSettings, WinBackSettings
from campaigns.domain.campaign import Schedule
from campaigns.domain.values import ImportCounts
from campaigns.domain.words import Arm, ReturnKind, Verdict
from campaigns.errors import ActionRefusedError, CampaignFileError
from campaigns.present.pages import Pages
from campaigns.rules.recurrence import Recurrence
from campaigns.schedule import occurrences
from campaigns.steps import report
from campaigns.steps.compare import Baseline
from campaigns.steps.enrol import enrol
from campaigns.steps.settle import settle
from campaigns.steps.verdicts import Reporting, give_verdicts
from campaigns.store import (
    campaigns,
    cohorts,
    enrolments,
    episodes,
    gate,
    imports,
    instance,
    outcomes,
    records,
    suppressions,
)
from campaigns.store.usage import UsageLake
from tests.factories import (
    NOON,
    ROOT,
    add_account,
    address_hash,
    at,
    campaign,
    churn,
    enrolled,
    keep_usage,
    launch,
    programme,
    subscription,
    usage,
)

WIN_BACK = WinBackSettings().definition()


@pytest.fixture
def lake(tmp_path):
    return UsageLake(tmp_path / "usage")


def came_back(sessions, account, when):
    with sessions.begin() as session:
        records.put(
            session,
            "subscriptions",
            [subscription(account, started_at=when)],
            address_hash=address_hash,
        )


def known_up_to(sessions, moment, kind="usage"):
    with sessions.begin() as session:
        run = imports.begin(session, kind=kind, file="f", sha256="x", now=moment)
        imports.finish(session, run, ImportCounts(taken=1), now=moment)


def settled(sessions, lake, now):
    return settle(sessions, lake, definition=WIN_BACK, now=now)


def test_each_churned_account_is_enrolled_or_refused_with_one_reason(sessions):
    with sessions.begin() as session:
        for number in range(6):
            add_account(session, f"acc-{number}", contacts=0 if number == 5 else 1)
        churn(session, *(f"acc-{number}" for number in range(6)))
        suppressions.suppress(
            session, address_hash("p1@acc-4.example.com"), "manual", now=NOON
        )
    launch(sessions, campaign(caps={"accounts_per_cohort": 3}))

    with sessions.begin() as session:
        status = campaigns.status(session, "spring")
        assert cohorts.churned_in_latest_cohort(session, "spring") == 6
    assert status.enrolled == {"treated": 3}
    assert status.refused == {
        "all_contacts_suppressed": 1,
        "cohort_full": 1,
        "no_contact": 1,
    }


def test_a_held_out_account_stays_so_in_every_campaign(sessions):
    accounts = [f"acc-{number}" for number in range(10)]
    enrolled(sessions, accounts, campaign("one"), holdout_share=0.5)
    with sessions.begin() as session:
        first = enrolments.arms_of_programme(session)
        # They came back and left again: a new episode, another campaign.
        from campaigns.domain.values import Return

        for episode in episodes.open_episodes(session):
            back = Return(episode.account, NOON + timedelta(days=1), ReturnKind.PAID)
            episodes.record_returns(session, [(episode, back)])
        later = NOON + timedelta(days=60)
        churn(session, *accounts, now=later)
    launch(
        sessions, campaign("two", schedule={"on": later}), now=later, holdout_share=0
    )

    with sessions.begin() as session:
        assert enrolments.arms_of_programme(session) == first
        status = campaigns.status(session, "two")
    assert status.enrolled == {"holdout": 5, "treated": 5}


def test_an_account_is_in_one_campaign_at_a_time(sessions):
    enrolled(sessions, ["acc-1"], campaign("one"))
    launch(sessions, campaign("two"))

    with sessions.begin() as session:
        assert campaigns.status(session, "two").refused == {"in_another_campaign": 1}


def test_without_scores_nobody_is_enrolled(sessions):
    with sessions.begin() as session:
        add_account(session)
        episodes.record_churn(session, {"acc-1": NOON}, definition="ended")
        campaigns.apply(session, campaign(), now=NOON)
        campaigns.launch(session, "spring", cohorts=[NOON], now=NOON)
        (cohort,) = cohorts.due_cohorts(session, now=NOON)

    with pytest.raises(ActionRefusedError, match="winback score"):
        enrol(sessions, cohort, programme=programme(), now=NOON)


def test_a_return_ends_the_episode_and_counts_in_its_window(sessions, lake):
    enrolled(sessions, ["acc-1", "acc-2", "acc-3"])
    came_back(sessions, "acc-1", NOON + timedelta(days=29))
    came_back(sessions, "acc-2", NOON + timedelta(days=30))
    closed = NOON + timedelta(days=30)
    known_up_to(sessions, closed)

    first = settled(sessions, lake, closed)
    assert (first.returned, first.settled, first.won_back) == (1, 3, 1)
    second = settled(sessions, lake, closed + timedelta(days=5))
    assert (second.returned, second.settled) == (1, 0)


def test_use_after_the_churn_is_a_return(sessions, lake):
    enrolled(sessions, ["acc-1"])
    keep_usage(lake, usage(when="2026-01-20T10:00:00+00:00"))
    known_up_to(sessions, NOON)

    assert settled(sessions, lake, at("2026-01-20T10:00")).returned == 0
    assert settled(sessions, lake, at("2026-01-20T10:01")).returned == 1


def test_who_asks_of_copies_does_not_block_who_records_a_return(sessions, lake):
    enrolled(sessions, ["acc-1"])
    keep_usage(lake, usage(when="2026-01-20T10:00:00+00:00"))

    with ThreadPoolExecutor(1) as pool:
        with sessions.begin() as session:
            gate.close(session)
            found = pool.submit(settled, sessions, lake, at("2026-01-21"))
            time.sleep(0.3)
            instance.beat(session, now=at("2026-01-21"))
        assert found.result().returned == 1


def test_a_look_in_our_time_hides_nothing_from_simulated_time(sessions, lake):
    """An import looks by our clock; a simulation then lives years before."""
    keep_usage(lake, usage(when="2026-01-20T10:00:00+00:00"))
    assert settled(sessions, lake, at("2030-01-01")).returned == 0
    enrolled(sessions, ["acc-1"])

    assert settled(sessions, lake, at("2026-01-21")).returned == 1


def test_a_window_is_not_settled_before_its_returns_can_be_known(sessions, lake):
    enrolled(sessions)
    closed = NOON + timedelta(days=30)
    assert settled(sessions, lake, closed).settled == 0
    known_up_to(sessions, closed - timedelta(days=1))
    assert settled(sessions, lake, closed).settled == 0
    known_up_to(sessions, closed)
    assert settled(sessions, lake, closed).settled == 1


def test_of_two_kinds_the_one_that_lags_says_how_much_is_known(sessions, lake):
    enrolled(sessions)
    closed = NOON + timedelta(days=30)
    known_up_to(sessions, closed, "usage")
    known_up_to(sessions, closed - timedelta(days=3), "subscriptions")
    assert settled(sessions, lake, closed).settled == 0

    known_up_to(sessions, closed, "subscriptions")
    assert settled(sessions, lake, closed).settled == 1


def test_an_import_without_a_good_row_makes_nothing_known(sessions, lake):
    enrolled(sessions)
    closed = NOON + timedelta(days=30)
    with sessions.begin() as session:
        run = imports.begin(session, kind="usage", file="f", sha256="x", now=closed)
        imports.finish(session, run, ImportCounts(rejected=9), now=closed)

    assert settled(sessions, lake, closed).settled == 0


def test_a_return_that_comes_to_light_late_corrects_its_outcome(sessions, lake):
    enrolled(sessions)
    closed = NOON + timedelta(days=30)
    known_up_to(sessions, closed)
    assert settled(sessions, lake, closed).won_back == 0

    came_back(sessions, "acc-1", NOON + timedelta(days=10))
    settled(sessions, lake, closed + timedelta(days=1))

    with sessions.begin() as session:
        (count,) = outcomes.matured_counts(session)
    assert count.returned == 1


@pytest.mark.parametrize(
    ("given_on_day", "returned"),
    [(30, 0), (29, 1)],  # after the outcome was settled; before, by an earlier cohort
)
def test_only_what_a_verdict_was_given_on_stays_as_it_was(
    sessions, lake, given_on_day, returned
):
    enrolled(sessions)
    closed = NOON + timedelta(days=30)
    known_up_to(sessions, closed)
    settled(sessions, lake, closed)
    with sessions.begin() as session:
        outcomes.give_verdict(
            session,
            "spring",
            verdict=Verdict.WORKS,
            definition="x",
            counts={},
            now=NOON + timedelta(days=given_on_day),
        )
    came_back(sessions, "acc-1", NOON + timedelta(days=10))
    settled(sessions, lake, closed + timedelta(days=1))

    with sessions.begin() as session:
        (count,) = outcomes.matured_counts(session)
    assert count.returned == returned


def test_what_was_counted_by_another_definition_stays_as_it_was(sessions, lake):
    """What is a return now may have been none then."""
    enrolled(sessions)
    closed = NOON + timedelta(days=30)
    known_up_to(sessions, closed)
    settled(sessions, lake, closed)
    came_back(sessions, "acc-1", NOON + timedelta(days=10))
    wider = WinBackSettings(window_days=45).definition()
    other = WinBackSettings(counts="paid").definition()
    for definition, returned in ((other, 0), (wider, 1)):
        settle(sessions, lake, definition=definition, now=closed + timedelta(days=1))
        with sessions.begin() as session:
            (count,) = outcomes.matured_counts(session)
        assert count.returned == returned


def test_a_campaign_is_not_over_while_an_outcome_is_missing(sessions, lake):
    enrolled(sessions, [f"acc-{n}" for n in range(10)], holdout_share=0.5)
    closed = NOON + timedelta(days=30)
    known_up_to(sessions, closed)

    assert give_verdicts(reporting(sessions, lake), now=closed) == []
    settled(sessions, lake, closed)
    assert give_verdicts(reporting(sessions, lake), now=closed) == ["spring"]


def test_a_changed_window_leaves_settled_cohorts_as_they_were(finished, sessions, lake):
    other = WinBackSettings(window_days=31).definition()
    made = reporting(sessions, lake)._replace(win_back=other)

    (campaign_report,) = report.gather(made, as_of=finished).campaigns

    assert campaign_report.comparison.treated.accounts == 160


def test_a_later_churn_does_not_swallow_a_return(sessions, lake, tmp_path):
    from campaigns.steps import settle as settling

    enrolled(sessions)
    came_back(sessions, "acc-1", NOON + timedelta(days=5))
    now = NOON + timedelta(days=25)
    with sessions.begin() as session:
        settling.record_returns(session, lake, definition=WIN_BACK, now=now)
        churned = {"acc-1": NOON + timedelta(days=20)}
        assert episodes.record_churn(session, churned, definition="x") == 1
    known_up_to(sessions, NOON + timedelta(days=30))

    assert settled(sessions, lake, NOON + timedelta(days=30)).won_back == 1


def test_a_torn_unit_stops_no_cohort(sessions):
    with sessions.begin() as session:
        for account in ("acc-1", "acc-2", "acc-3"):
            add_account(session, account)
        churn(session, "acc-1", "acc-2")
        enrolments.assign(
            session,
            {"acc-1": Arm.TREATED, "acc-2": Arm.HOLDOUT},
            stratum_of={"acc-1": "s", "acc-2": "s"},
            holdout_chance=0.5,
            now=NOON,
        )
        for account in ("acc-1", "acc-2", "acc-3"):
            add_account(session, account, email="same@example.com", contacts=2)
        churn(session, "acc-1", "acc-2", "acc-3")
    launch(sessions)

    with sessions.begin() as session:
        status = campaigns.status(session, "spring")
    assert sum(status.enrolled.values()) + sum(status.refused.values()) == 3


def test_a_campaign_nobody_churned_for_has_an_empty_cohort(sessions):
    launch(sessions)

    with sessions.begin() as session:
        assert campaigns.status(session, "spring").cohorts_enrolled == 1


def reporting(sessions, lake):
    return Reporting(
        sessions,
        lake,
        "Tidemark",
        ChurnSettings().definition(),
        WIN_BACK,
        Baseline(0.12),
        {"general": "Unsure"},
    )


@pytest.fixture
def finished(sessions, lake):
    """200 accounts, a fifth held out; every second treated one came back, no other."""
    accounts = [f"acc-{number:03}" for number in range(200)]
    enrolled(sessions, accounts, holdout_share=0.2)
    with sessions.begin() as session:
        arms = enrolments.arms_of_programme(session)
    treated = sorted(a for a, arm in arms.items() if arm is Arm.TREATED)
    for account in treated[::2]:
        came_back(sessions, account, NOON + timedelta(days=10))
    closed = NOON + timedelta(days=30)
    known_up_to(sessions, closed)
    settled(sessions, lake, closed)
    return closed


def test_the_verdict_is_given_once_and_stays(finished, sessions, lake):
    made = reporting(sessions, lake)
    before = report.gather(made, as_of=finished)
    assert before.campaigns[0].verdict is Verdict.CANNOT_TELL_YET
    assert not before.campaigns[0].is_given

    assert give_verdicts(made, now=finished) == ["spring"]
    assert give_verdicts(made, now=finished + timedelta(days=9)) == []
    (after,) = report.gather(made, as_of=finished).campaigns
    assert after.verdict is Verdict.WORKS
    assert after.sentence.startswith("The mails bring accounts back. Of 160 accounts")
    assert after.is_given
    assert after.comparison.lift.low > 0


def test_a_verdict_of_the_end_is_in_no_week_before_it(finished, sessions, lake):
    made = reporting(sessions, lake)
    nobody = {"treated": [0, 0], "holdout": [0, 0]}
    with sessions.begin() as session:
        outcomes.give_verdict(
            session,
            "spring",
            verdict=Verdict.NO_HOLDOUT,
            definition="d",
            counts=nobody,
            now=finished,
        )

    (before,) = report.gather(made, as_of=finished - timedelta(minutes=1)).campaigns
    assert (before.verdict, before.is_given) == (Verdict.CANNOT_TELL_YET, False)
    (after,) = report.gather(made, as_of=finished).campaigns
    assert (after.verdict, after.is_given) == (Verdict.NO_HOLDOUT, True)


def test_where_nothing_tells_who_came_back_the_report_says_so(sessions, lake):
    enrolled(sessions, [f"acc-{number:03}" for number in range(20)])
    counts_use = WinBackSettings(counts="used").definition()
    made = reporting(sessions, lake)._replace(win_back=counts_use)

    (soon,) = report.gather(made, as_of=NOON + timedelta(days=5)).campaigns
    assert soon.verdict is Verdict.CANNOT_TELL_YET
    (late,) = report.gather(made, as_of=NOON + timedelta(days=60)).campaigns
    assert late.verdict is Verdict.STALE_DATA
    assert late.warnings[0] == "Nothing that was imported tells who came back."


def test_the_week_that_ended_at_midnight_knows_the_verdict_of_an_hour_later(
    finished, sessions, lake
):
    made = reporting(sessions, lake)
    give_verdicts(made, now=finished + timedelta(hours=1))

    (known,) = report.gather(made, as_of=finished).campaigns
    assert (known.verdict, known.is_given) == (Verdict.WORKS, True)
    earlier = finished - timedelta(minutes=1)  # before the window closed
    (unknown,) = report.gather(made, as_of=earlier).campaigns
    assert (unknown.verdict, unknown.is_given) == (Verdict.CANNOT_TELL_YET, False)


def test_the_reports_counts_are_those_of_the_rows(finished, sessions, lake):
    (campaign_report,) = report.gather(
        reporting(sessions, lake), as_of=finished
    ).campaigns
    comparison = campaign_report.comparison

    assert (comparison.treated.accounts, comparison.treated.returned) == (160, 80)
    assert (comparison.holdout.accounts, comparison.holdout.returned) == (40, 0)
    assert (
        sum(s.comparison.treated.accounts for s in campaign_report.breakdowns[0].lines)
        == 160
    )
    assert campaign_report.still_open == ()


def test_a_window_that_is_still_open_is_in_no_rate(finished, sessions, lake):
    early = report.gather(reporting(sessions, lake), as_of=finished - timedelta(days=1))

    assert early.campaigns[0].comparison.treated.accounts == 0
    assert "No window has closed" in early.campaigns[0].sentence


def test_the_same_rows_make_the_same_bytes_in_every_format(finished, sessions, lake):
    made = reporting(sessions, lake)
    give_verdicts(made, now=finished)
    pages = Pages(ROOT / "templates")
    one, other = (report.gather(made, as_of=finished) for _ in range(2))

    assert pages.report_html(one) == pages.report_html(other)
    assert pages.report_markdown(one) == pages.report_markdown(other)
    assert one.json() == other.json()
    plain = json.loads(one.json())
    assert plain["campaigns"][0]["comparison"]["treated"] == {
        "accounts": 160,
        "returned": 80,
    }


def test_the_page_needs_nothing_from_anywhere(finished, sessions, lake):
    html = Pages(ROOT / "templates").report_html(
        report.gather(reporting(sessions, lake), as_of=finished)
    )

    assert "<script" not in html
    for word in ('src="http', "url(http", "<link", "@import"):
        assert word not in html


def test_weeks_are_named_as_iso_8601_does():
    assert report.week_of(report.end_of_week("2026-W14")) == "2026-W14"
    assert report.week_of(at("2026-01-05T00:00")) == "2026-W01"
    with pytest.raises(Exception, match="not a week"):
        report.end_of_week("2026-14")


def test_cron_schedules_are_unrolled_to_their_last_cohort():
    schedule = Schedule(cron="0 8 * * mon", cohorts=3)

    found = occurrences(schedule, at("2026-01-05T08:00"))

    assert [f"{each:%a %d %H:%M}" for each in found] == [
        "Mon 05 08:00",
        "Mon 12 08:00",
        "Mon 19 08:00",
    ]
    with pytest.raises(CampaignFileError, match="weekdays by name"):
        occurrences(Schedule(cron="0 8 * * 1", cohorts=1), NOON)
    with pytest.raises(CampaignFileError, match="five"):
        occurrences(Schedule(cron="every monday", cohorts=1), NOON)


def test_recurrences_know_their_last_and_next_moment():
    weekly, daily = Recurrence(6, weekday=0), Recurrence(1)

    assert daily.latest(at("2026-01-07T00:59")) == at("2026-01-06T01:00")
    assert daily.next(at("2026-01-07T01:00")) == at("2026-01-08T01:00")
    assert weekly.latest(at("2026-01-05T05:00")) == at("2025-12-29T06:00")
    assert weekly.next(at("2026-01-07T12:00")) == at("2026-01-12T06:00")
