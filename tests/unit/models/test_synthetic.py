import math
from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest

from models.synthetic import Life, Mail, make_company

LAUNCH = date(2026, 1, 5)


@pytest.fixture(scope="module")
def company():
    return make_company(seed=3, accounts=150, launch=LAUNCH, days_after=60)


def life(company, days=60):
    return Life(company, seed=3, days=days)


def lived(company, mails=()):
    alive = life(company)
    for offset in range(60):
        alive.live(LAUNCH + timedelta(days=offset), mails if offset == 1 else ())
    return alive


def test_the_same_seed_makes_the_same_company(company):
    again = make_company(seed=3, accounts=150, launch=LAUNCH, days_after=60)

    assert again.accounts == company.accounts
    assert again.subscriptions == company.subscriptions
    assert again.usage.equals(company.usage)


def test_a_larger_company_begins_with_the_same_accounts(company):
    larger = make_company(seed=3, accounts=160, launch=LAUNCH, days_after=60)

    assert larger.accounts[:150] == company.accounts


def test_nobody_uses_the_product_after_leaving(company):
    last = dict(
        company.usage.group_by("account").agg(at=pl.col("at").max()).iter_rows()
    )

    for truth in company.truth.values():
        if truth.left_on:
            assert last[truth.id].date() <= truth.left_on


def gone(company, segment):
    return [
        truth
        for truth in company.truth.values()
        if truth.segment == segment and truth.left_on and truth.left_on < LAUNCH
    ]


def mails_to(company, truths):
    by_account = {c["account"]: c["email"] for c in reversed(company.contacts)}
    return [Mail(by_account[truth.id], truth.segment) for truth in truths]


def test_fitting_mails_bring_accounts_back_and_the_truth_says_by_how_much(company):
    blocked = gone(company, "blocked-integration")
    alive = lived(company, mails_to(company, blocked))
    start = datetime.combine(LAUNCH, time(), UTC)

    effect = alive.true_effect({truth.id: start for truth in blocked}, window_days=30)

    assert 0.1 < effect < 0.25
    assert len(alive.returned) > len(lived(company).returned)


def test_a_mail_to_one_who_never_got_going_keeps_it_away(company):
    never = gone(company, "never-activated")
    alive = lived(company, mails_to(company, never))
    start = datetime.combine(LAUNCH, time(), UTC)

    assert alive.true_effect({t.id: start for t in never}, window_days=30) < 0


def test_a_second_mail_that_only_finds_those_still_away_is_told_right_on_average(
    company,
):
    blocked = gone(company, "blocked-integration")
    start = datetime.combine(LAUNCH, time(), UTC)
    enrolled = {truth.id: start for truth in blocked}

    def lived_by(seed):
        alive = Life(company, seed=seed, days=30)
        for offset in range(30):
            away = [each for each in blocked if each.id not in alive.returned]
            mails = mails_to(company, away) if offset in {0, 7} else ()
            alive.live(LAUNCH + timedelta(days=offset), mails)
        return alive

    def chance(alive, truth, touches):
        days = [alive._chance(truth, today, touches) or 0.0 for today in range(30)]
        return 1 - math.prod(1 - each for each in days)

    lives = [lived_by(seed) for seed in range(60)]
    # Both mails find all that can be reached and do not come back before.
    both = max((each for a in lives for each in a.touches.values()), key=len)
    exact = [
        chance(alive, truth, both if truth.id in alive.touches else [])
        - chance(alive, truth, [])
        for alive in lives
        for truth in blocked
    ]
    told = [alive.true_effect(enrolled, window_days=30) for alive in lives]
    assert sum(told) / len(told) == pytest.approx(sum(exact) / len(exact), abs=0.004)


def test_without_mails_there_is_no_effect(company):
    start = datetime.combine(LAUNCH, time(), UTC)
    everyone = dict.fromkeys(company.truth, start)

    assert lived(company).true_effect(everyone, window_days=30) == 0


def test_who_comes_back_pays_and_uses_again(company):
    alive = lived(company, mails_to(company, gone(company, "lapsed-power-user")))
    account, day = next(iter(alive.returned.items()))

    (row,) = alive.new_contracts([account], day)

    assert row["started_at"].startswith(day.isoformat())
    weeks = [alive.usage_on(day + timedelta(days=n)) for n in range(7)]
    assert any(account in use["account"].to_list() for use in weeks)
