"""All campaigns together: counted once, explained, and shown first."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, literal, select, update

from campaigns.config import ChurnSettings, WinBackSettings
from campaigns.domain.records import Mailing
from campaigns.domain.values import ArmCount
from campaigns.present.formats import report_csv, report_slack
from campaigns.present.pages import Pages
from campaigns.present.report import from_plain
from campaigns.steps import report
from campaigns.steps.compare import Baseline
from campaigns.steps.explain import explained
from campaigns.steps.verdicts import Reporting, give_verdicts
from campaigns.store import campaigns, records
from campaigns.store.tables.delivery import AttemptRow, MessageRow
from campaigns.store.tables.programme import CohortRow, EnrolmentRow, VerdictRow
from campaigns.store.usage import UsageLake
from tests.factories import ROOT, address_hash
from tests.situations import (
    SITUATIONS,
    Situation,
    plant,
    take_out_what_is_new_in_5,
)

# Each alone is unclear: 4.2 points more at 250 accounts.
SMALL = Situation((200, 20), (50, 2))


@pytest.fixture
def gathered(sessions, tmp_path):
    """Return the report of some situations, each a campaign, and what it is made of."""

    def gathered(**situations):
        after = 0
        for name, each in situations.items():
            now = plant(sessions, each, name=name, after=after)
            after += each.cohorts * (each.treated[0] + each.holdout[0])
        made = Reporting(
            sessions,
            UsageLake(tmp_path),
            "Tidemark",
            ChurnSettings().definition(),
            WinBackSettings().definition(),
            Baseline(0.12, 500),
            {},
        )
        give_verdicts(made, now=now)
        return report.gather(made, as_of=now), made, now

    return gathered


def test_what_no_campaign_can_show_all_of_them_may(gathered):
    weekly, _, _ = gathered(autumn=SMALL, spring=SMALL, summer=SMALL, winter=SMALL)
    together = weekly.programme

    assert {each.verdict for each in weekly.campaigns} == {"no_difference_shown"}
    assert (together.verdict, together.standing) == ("works", ())
    assert together.sentence.startswith(
        "Taken together, the mails bring accounts back. Of 3,200 accounts written to, "
        "10.0 % came back within 30 days; of 800 held out, 4.0 %: +6.0 points ("
    )
    assert together.comparison.treated == ArmCount(3200, 320)
    assert [each.window_closed_on.day for each in together.looks] == [4, 11, 18, 25]
    assert together.looks[-1].so_far.lift == together.comparison.lift


def test_each_campaign_is_judged_beside_the_others(gathered):
    weekly, _, _ = gathered(bad=SITUATIONS["loss"], dull=SMALL, good=SITUATIONS["win"])

    assert weekly.programme.standing == ("bad", "good")
    assert weekly.programme.campaigns == ("bad", "dull", "good")


def test_what_cannot_be_believed_is_left_out_and_told_of(gathered):
    good = replace(SITUATIONS["too-good"], treated=(200, 150), holdout=(50, 2))
    weekly, _, _ = gathered(good=good, leaky=SITUATIONS["leaked-holdout"], spring=SMALL)
    together = weekly.programme

    assert together.campaigns == ("spring",)
    assert together.warnings == (
        "Not counted here: good, too good to be believed before somebody has looked; "
        "leaky, whose arms cannot be compared.",
    )
    assert together.comparison.treated == ArmCount(800, 80)
    page = Pages(ROOT / "templates").report_html(weekly)
    assert "leaky, whose arms cannot be compared." in page


def test_a_campaign_whose_arms_broke_after_its_verdict_is_left_out(gathered, sessions):
    weekly, made, now = gathered(autumn=SMALL, spring=SMALL)
    assert weekly.programme.campaigns == ("autumn", "spring")
    with sessions.begin() as session:
        held_out = select(EnrolmentRow.id).where(
            EnrolmentRow.campaign == "autumn", EnrolmentRow.arm == "holdout"
        )
        ids = session.scalars(held_out.limit(20)).all()
        rows = [_mailed(number, at=now) for number in ids]
        session.execute(insert(MessageRow), [message for message, _ in rows])
        session.execute(insert(AttemptRow), [attempt for _, attempt in rows])
    weekly = report.gather(made, as_of=now)

    assert weekly.campaigns[0].is_given
    assert weekly.programme.campaigns == ("spring",)


def _mailed(number, *, at):
    id_ = number + 9000
    message = {
        "id": id_, "enrolment": number, "campaign": "autumn", "episode": number,
        "step": 1, "template": "general", "contact": f"p-{number}",
        "address_hash": f"{id_:064x}", "due_at": at, "state": "accepted",
    }  # fmt: skip
    posted_at = at - timedelta(days=1)
    return message, {"message": id_, "number": 1, "worker": "w", "posted_at": posted_at}


@pytest.mark.parametrize(("day", "mailed"), [(20, 3), (-1, 0), (31, 0)])
def test_held_out_accounts_that_other_tools_wrote_to_are_told_of(
    gathered, sessions, day, mailed
):
    _, made, now = gathered(spring=SMALL)
    query = select(EnrolmentRow.account, EnrolmentRow.enrolled_at).where(
        EnrolmentRow.arm == "holdout"
    )
    with sessions.begin() as session:
        mailings = [
            Mailing(account=account, at=enrolled_at + timedelta(days=day, hours=hour))
            for account, enrolled_at in session.execute(query).all()[:3]
            for hour in range(2)
        ]
        records.put(session, "mailings", mailings, address_hash=address_hash)
    (found,) = report.gather(made, as_of=now).campaigns

    told = [each for each in found.warnings if "held-out accounts were" in each]
    assert [each[:8] for each in told] == ["3 of 200"] * bool(mailed)


def test_old_data_outrank_what_they_seem_to_show(gathered):
    stale = replace(SITUATIONS["win"], cohorts=8, looked_at=80, known_on=65)
    weekly, _, _ = gathered(autumn=stale, spring=stale)

    assert weekly.programme.comparison.lift.low > 0
    assert weekly.programme.verdict == "stale_data"


def test_nothing_is_over_while_a_campaign_has_windows_to_close(gathered):
    dull = Situation((200, 12), (50, 2))
    new = Situation((10, 0), (5, 0), cohorts=30, looked_at=20)
    weekly, _, _ = gathered(anew=new, autumn=dull, spring=dull)

    assert [bool(each.cohorts) for each in weekly.campaigns] == [False, True, True]
    assert [each.is_given for each in weekly.campaigns] == [False, True, True]
    assert weekly.programme.verdict == "cannot_tell_yet"


def test_nothing_is_over_while_a_campaign_goes_on(gathered):
    dull = Situation((200, 12), (50, 2))
    late = Situation((100, 6), (25, 1), cohorts=30)
    weekly, _, _ = gathered(autumn=dull, spring=dull, summer=late)

    assert [each.is_given for each in weekly.campaigns] == [True, True, False]
    assert weekly.programme.verdict == "cannot_tell_yet"


def test_one_that_is_not_counted_holds_nothing_up(gathered):
    dull, leaky = Situation((200, 12), (50, 2)), SITUATIONS["leaked-holdout"]
    weekly, _, _ = gathered(autumn=dull, leaky=leaky, spring=dull)

    assert weekly.programme.campaigns == ("autumn", "spring")
    assert weekly.programme.verdict == "no_difference_shown"


def test_one_that_was_left_paused_holds_nothing_up(gathered, sessions):
    dull = Situation((200, 12), (50, 2))
    _, made, now = gathered(autumn=dull, spring=dull)
    with sessions.begin() as session:
        session.execute(delete(VerdictRow).where(VerdictRow.campaign == "spring"))
        session.add(CohortRow(campaign="spring", number=5, due_at=now))
    assert report.gather(made, as_of=now).programme.verdict == "cannot_tell_yet"

    with sessions.begin() as session:
        campaigns.pause(session, "spring", because="left", now=now)
    assert report.gather(made, as_of=now).programme.verdict == "no_difference_shown"


def test_one_campaign_speaks_for_itself(gathered):
    weekly, _, _ = gathered(spring=SMALL)

    assert weekly.programme is None
    page = Pages(ROOT / "templates").report_html(weekly)
    assert "All campaigns together" not in page


def test_its_numbers_are_explained_by_the_rows_of_all_campaigns(gathered):
    weekly, made, now = gathered(autumn=SMALL, spring=SMALL)
    lines = csv.reader(io.StringIO(report_csv(weekly)))
    ids = [id_ for id_, _ in lines if id_.startswith(f"{weekly.week}/ALL/")]
    counted = [id_ for id_ in ids if id_.endswith(("accounts", "returned"))]

    assert len(counted) == 4 * (1 + 4)
    for id_ in counted:
        with explained(made, id_, now=now) as found:
            assert found.add_up()[1] == found.value, id_
    with explained(made, f"{weekly.week}/ALL/comparison/lift/value", now=now) as found:
        assert sorted(found.made_of.values()) == [16, 160, 400, 1600]


def test_it_comes_first_wherever_the_report_is_read(gathered):
    weekly, _, _ = gathered(autumn=SMALL, spring=SMALL)
    pages = Pages(ROOT / "templates")
    subject, mail, text, pictures = pages.report_mail(weekly)
    blocks = json.loads(report_slack(weekly))["blocks"]
    forms = [pages.report_html(weekly), mail, text, blocks[1]["text"]["text"]]

    assert "– all campaigns: works, autumn: no difference" in subject
    assert [each.name for each in pictures] == ["ALL", "autumn", "spring"]
    assert all(each.png.startswith(b"\x89PNG") for each in pictures)
    assert [f"cid:{each.name}" for each in pictures] == re.findall('cid:[^"]+', mail)
    for each in forms:
        assert "All campaigns together" in each
        assert "written to, 10.0" in each
        assert "autumn" not in each.partition("All campaigns together")[0]


def test_the_way_from_enrolled_to_still_here_is_counted_in_accounts(gathered, sessions):
    _, made, now = gathered(spring=replace(SMALL, leaked=1))
    first = MessageRow.id.in_(range(1, 8))
    with sessions.begin() as session:
        session.execute(update(MessageRow).where(first).values(delivery="bounced"))
        again = insert(MessageRow).from_select(
            ["id", "enrolment", "campaign", "episode", "step", "template", "contact",
             "address_hash", "due_at", "state", "delivery"],
            select(
                MessageRow.id + 5000, MessageRow.enrolment, MessageRow.campaign,
                MessageRow.episode, literal(2), MessageRow.template,
                MessageRow.contact, MessageRow.address_hash, MessageRow.due_at,
                literal("accepted"), literal("delivered"),
            ).where(MessageRow.id.in_(range(5, 300))),
        )  # fmt: skip
        session.execute(again)
        never = MessageRow.id.in_([1, 2])
        lost = {"state": "skipped", "reason": "suppressed"}
        session.execute(update(MessageRow).where(never).values(lost))
    (found,) = report.gather(made, as_of=now).campaigns

    # Who bounced once and was reached by a second mail was reached.
    assert (found.funnel.mailed, found.funnel.delivered) == (798, 796)
    page = Pages(ROOT / "templates").report_html(report.gather(made, as_of=now))
    assert "798</span> (99.8" in page
    for name, count in (("mailed", 798), ("delivered", 796)):
        id_ = f"{report.week_of(now)}/spring/funnel/{name}"
        with explained(made, id_, now=now) as row:
            assert row.add_up()[1] == row.value == count


def test_slack_gets_no_more_blocks_than_it_takes(gathered):
    weekly, _, _ = gathered(autumn=SMALL, spring=SMALL)
    names = (f"campaign-{number}" for number in range(40))
    many = tuple(replace(weekly.campaigns[0], name=name) for name in names)

    blocks = json.loads(report_slack(replace(weekly, campaigns=many)))["blocks"]

    assert len(blocks) == 50
    assert blocks[-2]["text"]["text"] == "… and 17 more campaigns, in the report."


def test_a_report_of_before_is_read_without_it(gathered):
    weekly, _, _ = gathered(autumn=SMALL, spring=SMALL)
    plain = json.loads(weekly.json())
    assert from_plain(weekly.json()) == weekly
    take_out_what_is_new_in_5(plain)
    plain["schema"] = "winback-report-4"
    kept = json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    assert from_plain(kept).programme is None
    assert from_plain(kept).json() == kept
