"""Each situation gets the verdict, and the words, that a reader can act on."""

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from campaigns.config import ChurnSettings, WinBackSettings
from campaigns.present.pages import Pages
from campaigns.steps import report
from campaigns.steps.compare import Baseline
from campaigns.steps.verdicts import Reporting, give_verdicts
from campaigns.store.tables.programme import EnrolmentRow, OutcomeRow
from campaigns.store.usage import UsageLake
from tests.factories import ROOT
from tests.situations import DEFINITION, SITUATIONS, plant

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
}
BEGINS = {
    "win": "The mails bring accounts back. Of 2,400 accounts",
    "mismatch": "This comparison is spoiled: of the accounts written to, 5.0 % are",
    "leaked-holdout": "This comparison is spoiled: 32 of 600 accounts that were to be",
    "tourists": "The mails bring accounts back, but those do not stay: 30 days after",
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
