"""Each situation gets the verdict, and the words, that a reader can act on."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from campaigns.config import ChurnSettings, WinBackSettings
from campaigns.domain.values import ArmCount
from campaigns.domain.words import Verdict
from campaigns.present import charts, remarks
from campaigns.present.lines import MoneyLine
from campaigns.present.pages import Pages
from campaigns.rules.measure.rates import Estimate
from campaigns.steps import report
from campaigns.steps.compare import Baseline
from campaigns.steps.verdicts import Reporting, give_verdicts
from campaigns.store import outcomes
from campaigns.store.tables.programme import EnrolmentRow, OutcomeRow
from campaigns.store.usage import UsageLake
from tests.factories import ROOT
from tests.situations import DEFINITION, SITUATIONS, Situation, plant

WORDS = {
    "win": ("works", "Go on. No segment is shown to differ", None),
    "loss": ("harms", "Stop the campaign", None),
    "unclear": ("no_difference_shown", "Change the mails or the audience", None),
    "tiny": ("too_few", "Run it again with more accounts", None),
    "mismatch": ("mismatch", "Quote no number of this campaign. Find out what", None),
    "paused": ("cannot_tell_yet", "Settle why it is paused", "5.1 % of mails bounced"),
    "stale": ("stale_data", "Import use and subscriptions", "back since is not known"),
    "partly-matured": ("cannot_tell_yet", "Wait.", None),
    "leaked-holdout": ("mismatch", "Quote no number of this campaign. Find out", None),
    "too-good": ("too_good", "Look at some of the accounts", None),
    "tourists": ("works", "Do not widen it yet", None),
    "changed": ("lift_changed", "Look at the cohorts one by one", None),
    "nobody": ("too_few", "Run it again with more accounts", None),
}
BEGINS = {
    "win": "The mails bring accounts back. Of 2,400 accounts",
    "mismatch": "This comparison is spoiled: of the accounts written to, 5.0 % are",
    "leaked-holdout": "This comparison is spoiled: 32 of 600 accounts that were to be",
    "tourists": "The mails bring accounts back, but those do not stay: 30 days after",
    "changed": "No single difference fits all cohorts. Of 6,000 accounts written to, "
    "8.0 % came back within 30 days; of 1,500 held out, 5.0 %: +3.0 points (which does",
}


def reported(sessions, folder, name):
    """Return the campaign's report in one of the situations, and the whole week's."""
    now = plant(sessions, SITUATIONS[name])
    return again(sessions, folder, now)


def again(sessions, folder, now):
    made = Reporting(
        sessions,
        UsageLake(folder),
        "Tidemark",
        ChurnSettings().definition(),
        WinBackSettings().definition(),
        Baseline(0.12, 500),
        {"slow-fade": "Faded slowly", "champion-left": "The champion left"},
    )
    give_verdicts(made, now=now)
    weekly = report.gather(made, as_of=now)
    return weekly.campaigns[0], weekly


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_situation_gets_its_verdict(sessions, tmp_path, name):
    verdict, next_step, warning = WORDS[name]
    found, weekly = reported(sessions, tmp_path, name)

    assert found.verdict == verdict
    assert found.next_step.startswith(next_step)
    assert found.sentence.startswith(BEGINS.get(name, ""))
    # A number that is not to be quoted is not held against the pilot's either.
    assert bool(found.baseline_sentence) == (verdict not in {"mismatch", "too_good"})
    assert len(found.warnings) == (warning is not None)
    # Accounts that are missing are no open windows.
    assert bool(found.still_open) == (name in {"paused", "stale", "partly-matured"})
    assert warning is None or warning in found.warnings[0]
    html = Pages(ROOT / "templates").report_html(weekly)
    assert f'class="verdict {verdict}"' in html


def test_commands_are_shown_as_such_and_nothing_else_is_markup(sessions, tmp_path):
    found, weekly = reported(sessions, tmp_path, "paused")
    found = replace(found, next_step=f"{found.next_step} <b>`<i>`</b>")
    html = Pages(ROOT / "templates").report_html(replace(weekly, campaigns=(found,)))

    assert "run <code>winback campaign resume spring</code>, or" in html
    assert "&lt;b&gt;<code>&lt;i&gt;</code>&lt;/b&gt;" in html


def test_cohorts_that_were_counted_by_two_definitions_are_told_of(sessions, tmp_path):
    _, weekly = reported(sessions, tmp_path, "win")
    assert weekly.campaigns[0].warnings == ()

    with sessions.begin() as session:
        later = select(EnrolmentRow.id).where(EnrolmentRow.cohort > 2)
        counted_anew = update(OutcomeRow).where(OutcomeRow.enrolment.in_(later))
        session.execute(counted_anew.values(definition="e"))
    found, _ = again(sessions, tmp_path, weekly.as_of)
    assert found.warnings == (
        "What counts as a win-back was changed: closed cohorts were counted by e, "
        f"{DEFINITION}, and {DEFINITION} holds now. Each cohort is counted alike in "
        "both arms, so the difference holds; the rates mix the two.",
    )
    with sessions.begin() as session:
        session.execute(update(OutcomeRow).values(definition="e"))
    found, _ = again(sessions, tmp_path, weekly.as_of)
    assert found.warnings[0].endswith(f"by e, and {DEFINITION} holds now.")


def test_visitors_who_came_for_a_discount_are_told_of(sessions, tmp_path):
    found, _ = reported(sessions, tmp_path, "tourists")

    assert found.stay_sentence == (
        "Those that came back after a mail do not stay like others: 30 days after "
        "coming back, 40.5 % of them are still here, and 100.0 % of those that came by "
        "themselves. Look at what brought them, such as a discount."
    )


def test_those_that_a_mail_brought_may_stay_less_and_still_be_more(sessions, tmp_path):
    many = Situation((600, 120), (150, 12), stay=(0.65, 1.0))
    found, _ = again(sessions, tmp_path, plant(sessions, many))

    assert found.sentence.startswith("The mails bring accounts back. Of 2,400")
    assert found.next_step.startswith("Go on.")
    assert found.stay_sentence.startswith(
        "It lasts: 30 days after coming back the difference is +5.0 points ("
    )
    assert "65.0 % of them are still here, and 100.0 % of" in found.stay_sentence


def test_a_verdict_of_before_gives_way_where_later_cohorts_do_not_fit(
    sessions, tmp_path
):
    now = plant(sessions, SITUATIONS["changed"])
    with sessions.begin() as session:
        outcomes.give_verdict(
            session,
            "spring",
            verdict="works",
            definition=DEFINITION,
            counts={"treated": [1200, 240], "holdout": [300, 15]},
            now=now - timedelta(days=80),
        )
    found, weekly = again(sessions, tmp_path, now)

    assert (found.verdict, found.is_given) == ("lift_changed", True)
    assert "accounts that the mails" not in found.sentence
    band = charts.lift_over_time(found.cohorts).to_dict()["datasets"]
    assert None in [
        row["low"] for rows in band.values() for row in rows if "low" in row
    ]
    assert "(+6." not in Pages(ROOT / "templates").report_html(weekly)


def test_a_value_outside_of_what_was_shown_widens_it_and_is_told_of(sessions, tmp_path):
    fading = Situation((200, 44), (50, 3), cohorts=9, looked_at=150, later=(200, 6))
    found, _ = again(sessions, tmp_path, plant(sessions, fading))
    lift = found.comparison.lift

    assert lift.low == lift.value < lift.high
    assert found.warnings[0].startswith("The difference lies outside of what earlier")


def test_cohorts_of_nobody_are_closed_too(sessions, tmp_path):
    some = Situation((600, 84), (150, 8), empty=2)
    found, weekly = again(sessions, tmp_path, plant(sessions, some))

    assert [line.number for line in found.cohorts] == [1, 2, 3, 4]
    assert found.cohorts[3].treated == ArmCount()
    assert found.cohorts[1].so_far == found.cohorts[3].so_far == found.comparison
    assert "4 of 4 cohorts" in Pages(ROOT / "templates").report_html(weekly)


def test_cohorts_of_nobody_alone_say_nothing(sessions, tmp_path):
    none = Situation((1, 0), (0, 0), empty=4)
    found, weekly = again(sessions, tmp_path, plant(sessions, none))

    assert (found.verdict, found.has_counts) == ("too_few", False)
    assert "4 of 4 cohorts" in Pages(ROOT / "templates").report_html(weekly)


@pytest.mark.parametrize("name", ["leaked-holdout", "too-good"])
def test_of_a_comparison_that_says_nothing_no_revenue_is_claimed(
    sessions, tmp_path, name
):
    found, _ = reported(sessions, tmp_path, name)
    line = MoneyLine(
        currency="EUR",
        treated_minor=2160000,
        holdout_minor=36000,
        added_minor=Estimate(15840, 11643, 19173),
        largest_share=0.01,
        hangs_on_one=False,
    )

    assert remarks.money_sentence(line, found.verdict) == (
        "21,600 EUR a month run again; what the mails added of it cannot be said."
    )
    assert remarks.money_sentence(line, Verdict.WORKS).endswith(
        "of it the mails added 158 EUR (116 EUR to 192 EUR, 95 % at one look)."
    )
