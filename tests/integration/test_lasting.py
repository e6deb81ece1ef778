"""What lasts: who stays, what they pay, and a report that stays as it was made."""

import json
from collections import Counter
from datetime import timedelta

import pytest

from campaigns.config import ChurnSettings, WinBackSettings
from campaigns.domain.values import ArmCount, ImportCounts
from campaigns.domain.words import Arm, Verdict
from campaigns.errors import ActionRefusedError
from campaigns.present.formats import report_csv, report_slack
from campaigns.present.report import from_plain
from campaigns.rules.measure.strata import ArmPair
from campaigns.steps import report
from campaigns.steps.compare import Baseline
from campaigns.steps.lasting import money_lines
from campaigns.steps.settle import is_news, settle
from campaigns.steps.verdicts import Reporting, give_verdicts
from campaigns.store import (
    enrolments,
    imports,
    money,
    outcomes,
    records,
    reports,
    stays,
)
from campaigns.store.usage import UsageLake
from tests.factories import (
    NOON,
    address_hash,
    enrolled,
    keep_usage,
    subscription,
    usage,
)
from tests.situations import take_out_what_is_new_in_5

WIN_BACK = WinBackSettings().definition()
DAY = timedelta(days=1)
CLOSED = NOON + 30 * DAY


@pytest.fixture
def lake(tmp_path):
    return UsageLake(tmp_path / "usage")


def reporting(sessions, lake, **changes):
    made = Reporting(
        sessions,
        lake,
        "Tidemark",
        ChurnSettings().definition(),
        WIN_BACK,
        Baseline(0.12),
        {"general": "Unsure"},
    )
    return made._replace(**changes)


def subscribed(sessions, account, day, **fields):
    with sessions.begin() as session:
        record = subscription(account, started_at=NOON + day * DAY, **fields)
        records.put(session, "subscriptions", [record], address_hash=address_hash)


def settled(sessions, lake, now, definition=WIN_BACK):
    with sessions.begin() as session:
        run = imports.begin(session, kind="usage", file="f", sha256="x", now=now)
        imports.finish(session, run, ImportCounts(taken=1), now=now)
    return settle(sessions, lake, definition=definition, now=now)


def seen(sessions):
    with sessions.begin() as session:
        return {each.days: (each.seen, each.here) for each in stays.counts(session)}


def arms(sessions):
    with sessions.begin() as session:
        of = enrolments.arms_of_programme(session)
    return [[a for a in sorted(of) if of[a] is arm] for arm in Arm]


@pytest.fixture
def programme_of_ten(sessions, lake):
    """Ten accounts, half of them held out; two treated ones and one other come back."""
    enrolled(sessions, [f"acc-{n}" for n in range(10)], holdout_share=0.5)
    treated, holdout = arms(sessions)
    subscribed(
        sessions, treated[0], 5, mrr_minor=9000, discount_minor=1000, currency="EUR"
    )
    subscribed(sessions, treated[1], 5, ended_at=NOON + 17 * DAY)
    subscribed(sessions, holdout[0], 29, mrr_minor=4000, currency="EUR")
    return reporting(sessions, lake)


def test_a_stay_is_seen_once_its_day_has_come(sessions, lake, programme_of_ten):
    settled(sessions, lake, CLOSED)
    assert seen(sessions) == {7: (2, 2), 14: (2, 1)}

    settled(sessions, lake, CLOSED + 30 * DAY)
    assert seen(sessions).keys() == {7, 14, 30}
    settled(sessions, lake, CLOSED + 60 * DAY)
    with sessions.begin() as session:
        thirty = {e.arm: e for e in stays.counts(session) if e.days == 30}
    assert (thirty[Arm.TREATED].seen, thirty[Arm.TREATED].here) == (2, 1)
    assert (thirty[Arm.HOLDOUT].seen, thirty[Arm.HOLDOUT].here) == (1, 1)


@pytest.mark.parametrize(("day", "here"), [(27, 0), (28, 1), (34, 1), (35, 0)])
def test_use_in_the_week_before_counts_as_being_here(sessions, lake, day, here):
    enrolled(sessions)
    first = NOON + 5 * DAY
    later = NOON + day * DAY
    keep_usage(lake, usage(when=first.isoformat()), usage(when=later.isoformat()))
    settled(sessions, lake, NOON + 70 * DAY)

    assert seen(sessions)[30] == (1, int(here))


@pytest.mark.parametrize(("hours", "here"), [(0, 0), (23, 0), (24, 1), (167, 1)])
def test_what_an_account_came_back_with_does_not_tell_that_it_stayed(
    sessions, lake, hours, here
):
    enrolled(sessions)
    first = NOON + 5 * DAY
    later = first + timedelta(hours=hours)
    keep_usage(lake, usage(when=first.isoformat()), usage(when=later.isoformat()))
    settled(sessions, lake, NOON + 70 * DAY)

    assert seen(sessions)[7] == (1, here)


def test_an_import_that_was_broken_off_has_told_of_returns(sessions, lake):
    """Else who came back would be written to until another one ends."""
    enrolled(sessions)
    settled(sessions, lake, NOON + DAY)
    begun, minute = NOON + 2 * DAY, timedelta(minutes=1)
    with sessions.begin() as session:
        assert not is_news(session, now=begun)
        imports.begin(session, kind="subscriptions", file="f", sha256="y", now=begun)
    subscribed(sessions, "acc-1", 2)
    found = []
    for minutes in (1, 6, 16, 60 * 24 + 1):
        now = begun + minutes * minute
        with sessions.begin() as session:
            has_news = is_news(session, now=now)
        returned = settle(sessions, lake, definition=WIN_BACK, now=now).returned
        found.append((has_news, returned))

    assert found == [(True, 1), (False, 0), (True, 0), (False, 0)]


def test_only_cohorts_of_which_all_is_known_are_compared(
    sessions, lake, programme_of_ten
):
    settled(sessions, lake, CLOSED + 14 * DAY)
    (campaign,) = report.gather(programme_of_ten, as_of=CLOSED + 14 * DAY).campaigns
    week, fortnight, month = campaign.stays

    assert (week.treated, week.holdout) == (ArmCount(5, 2), ArmCount(5, 1))
    assert (fortnight.treated_back, fortnight.holdout_back) == (
        ArmCount(2, 1),
        ArmCount(1, 1),
    )
    assert month.treated == ArmCount()
    assert month.lift is None
    assert campaign.stay_sentence.startswith("Whether it lasts is open: 14 days after")


def test_money_runs_again_net_of_discounts(sessions, lake, programme_of_ten):
    settled(sessions, lake, CLOSED)
    (campaign,) = report.gather(programme_of_ten, as_of=CLOSED).campaigns
    (line,) = campaign.money

    assert (line.currency, line.treated_minor, line.holdout_minor) == (
        "EUR",
        8000,
        4000,
    )
    assert line.added_minor is None
    assert line.largest_share == pytest.approx(8000 / 12000)


def test_what_ended_before_its_window_closed_is_no_money(sessions, lake):
    enrolled(sessions)
    subscribed(sessions, "acc-1", 5, ended_at=CLOSED - DAY, mrr_minor=1, currency="EUR")
    subscribed(sessions, "acc-1", 6, plan_is_free=True, mrr_minor=2, currency="EUR")
    subscribed(sessions, "acc-1", 30, mrr_minor=4, currency="EUR")
    subscribed(sessions, "acc-1", 7, ended_at=CLOSED, mrr_minor=8, currency="USD")
    subscribed(sessions, "acc-1", 8, mrr_minor=16, currency="USD")
    settled(sessions, lake, CLOSED)

    with sessions.begin() as session:
        found = list(money.regained(session, "spring", closed_before=CLOSED))
    assert [(each.currency, each.minor) for each in found] == [("USD", 24)]


def test_accounts_that_pay_the_same_are_counted_together(sessions, lake):
    enrolled(sessions, [f"acc-{number}" for number in range(1, 6)])
    for account, minor in (("acc-1", 4), ("acc-2", 4), ("acc-3", 8)):
        subscribed(sessions, account, 5, mrr_minor=minor, currency="EUR")
    # More discount than price is no debt, however much it is.
    for account, discount in (("acc-4", 5), ("acc-5", 6)):
        subscribed(
            sessions, account, 5, mrr_minor=4, discount_minor=discount, currency="EUR"
        )
    settled(sessions, lake, CLOSED)

    with sessions.begin() as session:
        each = Counter(
            found[1:]
            for found in money.regained(session, "spring", closed_before=CLOSED)
        )
        together = money.amounts(session, "spring", closed_before=CLOSED)
    assert {found[1:4]: found.accounts for found in together} == each
    assert sum(each.values()) == 5
    assert len(together) == len(each)
    assert sum(found.accounts for found in together if found.minor == 0) == 2


def test_money_of_all_accounts_counts_those_that_pay_nothing():
    ours = money.AmountCount(1, Arm.TREATED, "EUR", 900, 30)
    theirs = money.AmountCount(1, Arm.HOLDOUT, "EUR", 300, 10)

    arms = {1: ArmPair(ArmCount(90), ArmCount(60))}
    (line,) = money_lines([ours, theirs], arms)

    assert (line.treated_minor, line.holdout_minor) == (27_000, 3_000)
    assert line.added_minor.value == 90 * (300 - 50)
    assert line.largest_share == pytest.approx(900 / 30_000)


def test_mails_add_no_more_money_than_runs():
    # The second cohort says little, as only one of it was held out.
    arms = {
        1: ArmPair(ArmCount(60), ArmCount(40)),
        2: ArmPair(ArmCount(10), ArmCount(1)),
    }
    (line,) = money_lines([money.AmountCount(1, Arm.TREATED, "EUR", 900, 30)], arms)

    assert line.added_minor.value == line.added_minor.high == line.treated_minor
    assert 0 < line.added_minor.low < line.treated_minor


@pytest.mark.parametrize(("merged", "won"), [(8, 1), (5, 0), (9, 1)])
def test_an_account_that_another_was_merged_into_is_not_won_back(
    sessions, lake, merged, won
):
    enrolled(sessions, ["acc-1", "acc-2"])
    subscribed(
        sessions,
        "acc-2",
        -100,
        ended_at=NOON + merged * DAY + timedelta(hours=1),
        end_kind="merged",
        merged_into="acc-1",
    )
    subscribed(sessions, "acc-1", 5)

    assert settled(sessions, lake, CLOSED).won_back == won


def test_a_kept_report_stays_as_it_was_made(sessions, lake, programme_of_ten):
    settled(sessions, lake, CLOSED)
    made = programme_of_ten
    as_of = report.end_of_week(report.week_of(CLOSED))
    settled(sessions, lake, as_of)
    first = report.gather(made, as_of=as_of)
    report.keep(made, first, now=as_of)

    subscribed(sessions, arms(sessions)[0][4], 20)
    settled(sessions, lake, as_of + DAY)
    other = made._replace(win_back=WinBackSettings(window_days=60).definition())
    again = report.of_week(other, first.week, now=as_of + 9 * DAY)

    assert again.json() == first.json()
    assert again == first
    changed = report.gather(made, as_of=as_of).campaigns[0].comparison.treated
    assert changed.returned == first.campaigns[0].comparison.treated.returned + 1
    report.keep(made, report.gather(made, as_of=as_of), now=as_of + DAY)
    assert report.of_week(made, first.week, now=as_of).json() == first.json()


def test_a_report_of_another_version_says_where_its_pages_are(
    sessions, lake, programme_of_ten
):
    plain = json.loads(report.gather(programme_of_ten, as_of=CLOSED).json())
    plain["schema"] = "winback-report-1"

    with pytest.raises(ActionRefusedError, match="folder reports"):
        from_plain(json.dumps(plain))


def test_a_report_of_the_last_version_is_read_and_written_as_it_was(
    sessions, lake, programme_of_ten
):
    made = programme_of_ten
    settled(sessions, lake, CLOSED - 6 * DAY)
    plain = json.loads(report.gather(made, as_of=CLOSED - 6 * DAY).json())
    plain["schema"] = "winback-report-3"
    for each in plain["campaigns"]:
        del each["adoption"], each["nps"]
    take_out_what_is_new_in_5(plain)
    kept = json.dumps(plain, indent=2, sort_keys=True) + "\n"
    assert from_plain(kept).json() == kept
    assert from_plain(kept).campaigns[0].adoption == ()

    with sessions.begin() as session:
        reports.keep(session, plain["week"], kept, as_of=CLOSED - 6 * DAY, now=CLOSED)
    settled(sessions, lake, CLOSED + DAY)
    # The week after it is made, and knows what is new.
    (campaign,) = report.gather(made, as_of=CLOSED + DAY).campaigns
    assert campaign.changes[0].startswith("1 cohort closed")


def test_the_report_says_what_is_new_since_last_week(sessions, lake, programme_of_ten):
    made = programme_of_ten
    settled(sessions, lake, CLOSED - 6 * DAY)
    week_before = report.gather(made, as_of=CLOSED - 6 * DAY)
    report.keep(made, week_before, now=CLOSED)
    settled(sessions, lake, CLOSED + DAY)
    (campaign,) = report.gather(made, as_of=CLOSED + DAY).campaigns

    assert campaign.changes == (
        "1 cohort closed: 5 accounts written to, 2 came back; 5 held out, 1 came back.",
    )


def test_numbers_for_other_programs(sessions, lake, programme_of_ten):
    settled(sessions, lake, CLOSED + 14 * DAY)
    weekly = report.gather(programme_of_ten, as_of=CLOSED + 14 * DAY)
    lines = report_csv(weekly).splitlines()
    week = weekly.week

    assert lines[0] == "id,value"
    assert f"{week}/spring/comparison/treated/returned,2" in lines
    assert f"{week}/spring/stays/14/treated_back/returned,1" in lines
    assert f"{week}/spring/money/EUR/treated_minor,8000" in lines
    assert len({line.split(",")[0] for line in lines}) == len(lines)

    slack = json.loads(report_slack(weekly))
    assert [block["type"] for block in slack["blocks"]] == [
        "header",
        "section",
        "section",
        "context",
    ]
    assert "*What to do:* Wait." in slack["blocks"][1]["text"]["text"]
    assert all(len(block["fields"]) <= 10 for block in slack["blocks"][2:3])


def written_to(sessions, account):
    """Have a mail of a held-out account go out, as a bug would."""
    from sqlalchemy import text

    with sessions.begin() as session:
        query = text("SELECT id, contact FROM enrolments WHERE account = :account")
        (enrolment, contact) = session.execute(query, {"account": account}).one()
        other = session.execute(text("SELECT * FROM messages LIMIT 1")).mappings().one()
        values = dict(other) | {
            "id": 9999,
            "enrolment": enrolment,
            "contact": contact,
            "address_hash": f"hash of {account}",
            "state": "accepted",
        }
        names = ", ".join(values)
        slots = ", ".join(f":{name}" for name in values)
        session.execute(
            text(f"INSERT INTO messages ({names}) VALUES ({slots})"), values
        )
        session.execute(
            text(
                "INSERT INTO attempts (id, message, number, worker, posted_at) "
                "VALUES (9999, 9999, 1, 'w', :at)"
            ),
            {"at": str(NOON + DAY)[:19]},
        )


def test_a_leaking_holdout_is_a_mismatch_and_gets_no_verdict(sessions, lake):
    enrolled(sessions, [f"acc-{n:03}" for n in range(100)], holdout_share=0.5)
    treated, holdout = arms(sessions)
    for account in treated[:40]:
        subscribed(sessions, account, 5)
    for account in holdout[:15]:
        subscribed(sessions, account, 5)
    settled(sessions, lake, CLOSED)
    made = reporting(sessions, lake)
    assert report.gather(made, as_of=CLOSED).campaigns[0].warnings == ()

    written_to(sessions, holdout[3])
    (campaign,) = report.gather(made, as_of=CLOSED).campaigns
    assert campaign.verdict is Verdict.MISMATCH
    assert campaign.sentence.startswith(
        "This comparison is spoiled: 1 of 50 accounts that were to be left alone were"
    )
    assert campaign.warnings == ()
    assert give_verdicts(made, now=CLOSED) == []


def test_a_held_out_account_that_is_there_twice_leaks_once(sessions, lake):
    from sqlalchemy import text

    enrolled(sessions, [f"acc-{n:03}" for n in range(20)], holdout_share=0.5)
    _, (account, *_) = arms(sessions)
    written_to(sessions, account)
    with sessions.begin() as session:
        for table, changes in (
            ("episodes", {"id": 999, "sequence": 2}),
            ("enrolments", {"id": 999, "episode": 999}),
        ):
            rows = text(f"SELECT * FROM {table} WHERE account = :account")
            (row,) = session.execute(rows, {"account": account}).mappings()
            values = dict(row) | changes
            session.execute(
                text(
                    f"INSERT INTO {table} ({', '.join(values)}) "
                    f"VALUES ({', '.join(f':{name}' for name in values)})"
                ),
                values,
            )
        found = outcomes.leak(session, "spring", before=CLOSED)
    assert found == ArmCount(11, 1)


@pytest.mark.parametrize(("ends_on", "won_back"), [(None, 0), (4, 0), (-20, 1)])
def test_a_plan_that_ran_all_along_brings_nobody_back(
    sessions, lake, ends_on, won_back
):
    """The account churned 30 days ago, by silence: it paid on, or it gave that up."""
    enrolled(sessions)
    ended_at = NOON + ends_on * DAY if ends_on else None
    subscribed(sessions, "acc-1", -90, id="ran", ended_at=ended_at)
    subscribed(sessions, "acc-1", 5, id="new")

    assert settled(sessions, lake, CLOSED).won_back == won_back


def test_accounts_missing_from_one_arm_are_a_mismatch(sessions, lake):
    from sqlalchemy import text

    enrolled(sessions, [f"acc-{n:03}" for n in range(100)], holdout_share=0.5)
    settled(sessions, lake, CLOSED)
    with sessions.begin() as session:
        query = text(
            "DELETE FROM outcomes WHERE enrolment IN (SELECT id FROM enrolments "
            "WHERE arm = 'treated' ORDER BY id LIMIT 20)"
        )
        session.execute(query)
        assert outcomes.measured(session, "spring", closed_before=CLOSED) == {
            Arm.TREATED: ArmCount(50, 30),
            Arm.HOLDOUT: ArmCount(50, 50),
        }
    (campaign,) = report.gather(reporting(sessions, lake), as_of=CLOSED).campaigns

    assert campaign.verdict is Verdict.MISMATCH
    assert campaign.sentence.startswith(
        "This comparison is spoiled: of the accounts written to, 40.0 % are missing"
    )
    assert give_verdicts(reporting(sessions, lake), now=CLOSED) == []


def test_a_lift_nobody_has_heard_of_is_doubted(sessions, lake):
    enrolled(sessions, [f"acc-{n:03}" for n in range(200)], holdout_share=0.5)
    for account in arms(sessions)[0]:
        subscribed(sessions, account, 5)
    settled(sessions, lake, CLOSED)
    made = reporting(sessions, lake)

    # What happens after the last window is no matter: no newer data is missed.
    for days in (0, 8):
        (campaign,) = report.gather(made, as_of=CLOSED + days * DAY).campaigns
        assert campaign.verdict is Verdict.TOO_GOOD
    assert give_verdicts(made, now=CLOSED) == []

    believed = made._replace(unheard_of=1.0)
    assert give_verdicts(believed, now=CLOSED) == ["spring"]
    (campaign,) = report.gather(believed, as_of=CLOSED + 8 * DAY).campaigns
    assert (campaign.verdict, campaign.warnings) == (Verdict.WORKS, ())


def _used_each_day(lake, *, until):
    used = (usage(when=(until - n * DAY).isoformat()) for n in range(28))
    keep_usage(lake, *used)


def test_an_old_file_that_is_imported_today_tells_nothing_of_yesterday(sessions, lake):
    enrolled(sessions, [f"acc-{n:03}" for n in range(200)], holdout_share=0.5)
    for account in arms(sessions)[0][:20]:
        subscribed(sessions, account, 5)
    _used_each_day(lake, until=NOON + 10 * DAY)
    settled(sessions, lake, CLOSED)
    made = reporting(sessions, lake)

    weekly = report.gather(made, as_of=CLOSED)
    (campaign,) = weekly.campaigns
    assert campaign.verdict is Verdict.STALE_DATA
    assert campaign.warnings[0].startswith(
        "What was imported tells of nothing after 15 January 2026: who came back"
    )
    assert weekly.known_until == NOON + 10 * DAY
    assert give_verdicts(made, now=CLOSED) == []

    _used_each_day(lake, until=CLOSED - 2 * DAY)
    assert give_verdicts(made, now=CLOSED) == ["spring"]


def test_where_use_is_rare_its_absence_tells_nothing(sessions, lake):
    """As where a company imports churned accounts only, and few of them come back."""
    enrolled(sessions, [f"acc-{n:03}" for n in range(200)], holdout_share=0.5)
    keep_usage(lake, usage(when=(NOON + 10 * DAY).isoformat()))
    settled(sessions, lake, CLOSED)

    assert give_verdicts(reporting(sessions, lake), now=CLOSED) == ["spring"]


def test_accounts_that_are_missing_since_the_last_use_are_missed_too(sessions, lake):
    from sqlalchemy import text

    enrolled(sessions, [f"acc-{n:03}" for n in range(200)], holdout_share=0.5)
    for account in arms(sessions)[0][:20]:
        subscribed(sessions, account, 5)
    _used_each_day(lake, until=CLOSED - DAY / 8)
    settled(sessions, lake, CLOSED + DAY)
    with sessions.begin() as session:
        query = text(
            "DELETE FROM outcomes WHERE enrolment IN (SELECT id FROM enrolments "
            "WHERE arm = 'treated' ORDER BY id DESC LIMIT 30)"
        )
        session.execute(query)
    made = reporting(sessions, lake)

    assert give_verdicts(made, now=CLOSED + DAY) == []
    (campaign,) = report.gather(made, as_of=CLOSED + DAY).campaigns
    assert campaign.verdict is Verdict.MISMATCH
