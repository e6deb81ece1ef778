"""Every number of a report has an id, and rows that add up to it."""

from datetime import timedelta

import pytest

from campaigns.cli.explaining import _tell
from campaigns.domain.records import Nps
from campaigns.errors import NotFoundError
from campaigns.present.number_ids import numbers
from campaigns.steps import report
from campaigns.steps.explain import Explanation, explained
from campaigns.store import enrolments, records, suppressions
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
    reporting,
    settled,
    subscribed,
    written_to,
)

NOW = CLOSED + 20 * DAY
PERSONAS = [
    "treated fans",
    "Owner/Admin",
    "Ops/points/7/treated",
    "100% [/EU]",
    *(f"Persona {number}" for number in range(7)),
]


@pytest.fixture
def lake(tmp_path):
    from campaigns.store.usage import UsageLake

    return UsageLake(tmp_path / "usage")


@pytest.fixture
def made(sessions, lake):
    """Sixty accounts of many kinds; each third comes back, half of them to stay."""
    accounts = [f"acc-{n:02}" for n in range(60)]
    with sessions.begin() as session:
        for number, account in enumerate(accounts):
            # Some are called so that ids and markup could be led astray.
            persona = PERSONAS[number % 11] if number % 7 else None
            size = ("SMB/self-serve", "enterprise")[number % 2]
            add_account(session, account, persona=persona, account_segment=size)
        churn(session, *accounts[:20])
        churn(session, *accounts[20:40], days_ago=50, segment="slow-fade")
        churn(session, *accounts[40:], days_ago=200)
        # The latest scores count, so all are scored once more.
        churn(session, *accounts)
        suppressions.suppress(
            session, address_hash("p1@acc-00.example.com"), "manual", now=NOON
        )
    launch(
        sessions,
        campaign(caps={"accounts_per_cohort": 50}, steps=2),
        holdout_share=0.3,
    )
    for number in range(0, 60, 3):
        ended_at = None if number % 2 else NOON + 20 * DAY
        subscribed(
            sessions,
            accounts[number],
            5,
            ended_at=ended_at,
            mrr_minor=1000 + number,
            currency="EUR" if number % 5 else "USD",
        )
    keep_usage(
        lake,
        *(
            usage(account, (NOON + 6 * DAY).isoformat(), feature=f"feature-{number}")
            for account in accounts[::6]
            for number in range(3)
        ),
    )
    with sessions.begin() as session:
        answers = [
            Nps(account=account, at=NOON + DAY, score=number % 11)
            for number, account in enumerate(accounts)
            if number % 3
        ]
        records.put(session, "nps", answers, address_hash=address_hash)
    settled(sessions, lake, NOW)
    with sessions.begin() as session:
        held_out = [
            account
            for account, arm in sorted(enrolments.arms_of_programme(session).items())
            if arm == "holdout"
        ]
    written_to(sessions, held_out[0])
    return reporting(sessions, lake)


def test_the_rows_of_every_count_add_up_to_it(made):
    weekly = report.gather(made, as_of=NOW)
    report.keep(made, weekly, now=NOW)
    (found,) = weekly.campaigns
    known = dict(numbers(found, weekly.week, "spring"))
    counted = 0
    for id_, value in known.items():
        with explained(made, id_, now=NOW) as explanation:
            rows, total = explanation.add_up()
        assert explanation.value == value
        if explanation.made_of:
            continue
        assert total == value, (id_, rows)
        counted += bool(value)

    assert counted > 70
    assert any(line.points[0].treated.features for line in found.adoption)
    assert any(line.treated.promoters for line in found.nps)
    assert {"persona", "segment", "dormancy"} >= {part.by for part in found.breakdowns}


def test_those_of_windows_that_were_open_then_add_up_too(made):
    early = NOON + 9 * DAY
    (found,) = report.gather(made, as_of=early).campaigns
    treated, holdout = found.still_open
    week = report.week_of(early)

    assert (treated.accounts, holdout.accounts) == (35, 15)
    assert 0 < treated.returned < 35
    assert treated.days == 9
    assert treated.share.value == pytest.approx(treated.returned / 35)
    for line in (treated, holdout):
        for what in ("accounts", "returned"):
            id_ = f"{week}/spring/still_open/{line.arm}/{what}"
            with explained(made, id_, now=early) as explanation:
                _, total = explanation.add_up()
            assert total == explanation.value == getattr(line, what)


@pytest.mark.parametrize(
    ("id_", "made_of"),
    [
        ("comparison/lift/low", {"treated/accounts", "holdout/returned"}),
        ("comparison/holdout_rate/value", {"treated/returned", "holdout/accounts"}),
        ("stays/7/kept/high", {"treated_back/accounts", "holdout_back/returned"}),
        ("money/EUR/largest_share", {"treated_minor", "holdout_minor"}),
        (
            "adoption/not known/points/7/treated_average",
            {"treated/accounts", "treated/features"},
        ),
        (
            "nps/SMB%2Fself-serve/holdout_score",
            {"holdout/accounts", "holdout/promoters", "holdout/detractors"},
        ),
    ],
)
def test_what_is_worked_out_names_what_it_is_made_of(made, id_, made_of):
    week = report.week_of(NOW)
    with explained(made, f"{week}/spring/{id_}", now=NOW) as explanation:
        rows, _ = explanation.add_up()
        ids = "\n".join(explanation.made_of)

    assert rows
    assert all(each in ids for each in made_of)
    assert "cohorts" not in ids


def test_an_id_that_is_none_is_told_with_those_like_it(made):
    week = report.week_of(NOW)
    id_ = f"{week}/spring/comparison/treated/account"

    with pytest.raises(NotFoundError, match="comparison/treated/accounts"):
        explained(made, id_, now=NOW).__enter__()


def test_what_was_learnt_later_is_seen(made, sessions):
    week_over = report.end_of_week(report.week_of(NOW))
    weekly = report.gather(made, as_of=week_over)
    report.keep(made, weekly, now=week_over)
    id_ = f"{weekly.week}/spring/comparison/treated/returned"
    with sessions.begin() as session:
        from sqlalchemy import text

        session.execute(text("UPDATE outcomes SET came_back = false"))

    with explained(made, id_, now=week_over + timedelta(days=9)) as explanation:
        _, total = explanation.add_up()
    assert total == 0
    assert explanation.value == weekly.campaigns[0].comparison.treated.returned > 0


def test_what_looks_like_markup_is_printed_as_it_is(capsys):
    found = Explanation(1, {}, ("persona",), iter([("Editor [/EU] [red]",)]))
    _tell("2026-W14/spring/adoption/[b]", found, limit=5)
    printed = capsys.readouterr().out

    assert "Editor [/EU] [red]" in printed
    assert "adoption/[b] is 1" in printed
