from datetime import timedelta

import polars as pl
import pytest

from models.definitions import FEATURE_NAMES, FEATURES
from models.features import Inputs, features_as_of, used_features
from tests.factories import at

AS_OF = at("2026-01-01")
MOMENT = pl.Datetime("us", "UTC")
USAGE = {
    "account": pl.String,
    "at": MOMENT,
    "feature": pl.String,
    "contact": pl.String,
    "count": pl.Int64,
    "outcome": pl.String,
}
SUBSCRIPTIONS = {
    "account": pl.String,
    "plan_is_free": pl.Boolean,
    "seats": pl.Int64,
    "mrr_minor": pl.Int64,
    "started_at": MOMENT,
    "ended_at": MOMENT,
    "end_reason": pl.String,
}


def event(days_ago, feature="reports.export", *, account="a", who="p1", n=1, ok=True):
    outcome = "ok" if ok else "failed"
    return (account, AS_OF - timedelta(days=days_ago), feature, who, n, outcome)


def contract(start, end=None, *, mrr=1000, seats=5, reason=None, free=False):
    ends = at(end) if end else None
    return ("a", free, seats, mrr, at(start), ends, reason)


def inputs(events=(), subscriptions=(), accounts=("a",), created=None):
    churned = [(account, AS_OF - timedelta(days=10)) for account in accounts]
    return Inputs(
        pl.LazyFrame(
            churned, schema={"account": pl.String, "churned_at": MOMENT}, orient="row"
        ),
        pl.LazyFrame(
            [("a", created)],
            schema={"id": pl.String, "created_at": MOMENT},
            orient="row",
        ),
        pl.LazyFrame(list(events), schema=USAGE, orient="row"),
        pl.LazyFrame(list(subscriptions), schema=SUBSCRIPTIONS, orient="row"),
    )


def features(*args, **kwargs):
    return features_as_of(inputs(*args, **kwargs), as_of=AS_OF).to_native()


def one(*args, **kwargs):
    return features(*args, **kwargs).row(0, named=True)


def test_every_feature_has_a_column_a_unit_and_words():
    assert features().columns == ["account", *FEATURE_NAMES]
    assert all(each.unit and each.meaning for each in FEATURES)
    assert all(
        each.high.format(value=1) and each.low.format(value=1) for each in FEATURES
    )


def test_windows_end_with_the_last_use():
    row = one([event(100, n=2), event(103), event(107), event(131), event(189)])

    assert row["days_since_last_use"] == 100
    assert (row["events_7d"], row["events_30d"], row["events_90d"]) == (3, 4, 6)
    assert (row["active_days_7d"], row["active_days_90d"]) == (2, 5)


def test_a_day_with_many_events_is_one_active_day():
    row = one([event(99.9), event(99.8), event(99.7)])

    assert (row["active_days_7d"], row["events_7d"]) == (1, 3)


def test_the_slope_is_that_of_least_squares():
    # Weekly counts 1, 2, …, 12, the last week first: use fell by one event a week.
    falling = [event(50 + 7 * week, n=week + 1) for week in range(12)]

    assert one(falling)["decline_per_week"] == pytest.approx(-1)


def test_breadth_and_the_largest_share():
    row = one([event(20, "a", n=3), event(21, "b"), event(22, "c")])

    assert (row["breadth"], row["top_feature_share"]) == (3, 0.6)


def test_integrations_that_fail():
    slack = "integration.slack"
    row = one([event(20, slack, n=3, ok=False), event(21, slack), event(22)])

    assert row["integration_attempts"] == 4
    assert row["integration_failure_rate"] == 0.75


def test_who_never_tried_an_integration_had_none_fail():
    row = one([event(20)])

    assert (row["integration_attempts"], row["integration_failure_rate"]) == (0, 0)


def test_a_champion_that_stopped_before_the_others():
    row = one([event(40, who="boss", n=8), event(20, who="other", n=2)])

    assert (row["top_contact_share"], row["top_contact_silence"]) == (0.8, 20)


def test_tenure_runs_from_the_first_sign_to_the_last_use():
    early = [contract("2025-01-01", "2025-12-22")]

    assert one([event(61), event(31)])["tenure"] == 30
    assert one([event(31)], early)["tenure"] == 334
    assert one([event(31)], early, created=at("2024-12-31"))["tenure"] == 335


def test_the_last_paid_contract_counts():
    row = one(
        [event(20)],
        [
            contract("2025-01-01", "2025-06-01", mrr=10_00),
            contract(
                "2025-06-01", "2025-12-22", mrr=15_00, seats=7, reason="Too expensive"
            ),
            contract("2025-12-22", free=True, mrr=0),
        ],
    )

    assert (row["mrr"], row["mrr_growth"], row["seats"]) == (15, 0.5, 7)
    assert row["ended_for_price"] == 1


def test_an_account_that_was_never_seen_has_no_numbers():
    row = one()

    assert row["events_90d"] is None
    assert row["mrr"] is None
    assert row["days_since_churn"] == 10


def test_nothing_at_or_after_the_date_is_read():
    events = [event(30), event(20, "integration.slack")]
    contracts = [contract("2025-01-01", "2025-12-22", reason="moved")]
    future_events = [event(0, n=99), event(-40, "integration.slack", ok=False)]
    future_contracts = [
        contract("2026-01-01", mrr=99_99),
        contract("2026-02-01", "2026-03-01", reason="price"),
    ]

    known = features(events, contracts)
    planted = features([*events, *future_events], [*contracts, *future_contracts])

    assert known.serialize() == planted.serialize()


def test_many_rows_make_the_same_bytes_on_every_run():
    events = [
        event(20 + n % 97 + n / 7919, f"f{n % 11}", account=f"a{n % 50}", n=1 + n % 5)
        for n in range(20_000)
    ]
    accounts = tuple(f"a{n}" for n in range(50))

    runs = {features(events, accounts=accounts).serialize() for _ in range(6)}

    assert len(runs) == 1


def test_a_week_has_no_more_than_seven_active_days():
    row = one([event(20 + n / 4) for n in range(60)])

    assert row["active_days_7d"] == 7


def test_an_end_after_the_date_is_not_known():
    ended = one([event(20)], [contract("2025-01-01", "2026-02-01", reason="price")])

    assert ended["ended_for_price"] == 0


def test_rows_are_ordered_by_account_whatever_the_inputs_order():
    events = [event(20, account=account) for account in ("b", "a", "c")]

    there = features(events, accounts=("b", "a", "c"))
    back = features(events[::-1], accounts=("c", "b", "a"))

    assert there["account"].to_list() == ["a", "b", "c"]
    assert there.serialize() == back.serialize()


def test_what_was_used_is_told_most_used_first():
    slack = "integration.slack"
    given = inputs([event(20, n=2), event(21, slack, n=5, ok=False), event(200, "old")])

    used = used_features(given, as_of=AS_OF).to_native()

    assert used.select("feature", "events", "failures").rows() == [
        (slack, 5, 5),
        ("reports.export", 2, 0),
    ]
