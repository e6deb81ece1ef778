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
    "discount_minor": pl.Int64,
    "started_at": MOMENT,
    "ended_at": MOMENT,
    "end_reason": pl.String,
}


def event(days_ago, feature="reports.export", *, account="a", who="p1", n=1, ok=True):
    outcome = "ok" if ok else "failed"
    return (account, AS_OF - timedelta(days=days_ago), feature, who, n, outcome)


def contract(
    start, end=None, *, mrr=1000, seats=5, reason=None, free=False, discount=None
):
    ends = at(end) if end else None
    return ("a", free, seats, mrr, discount, at(start), ends, reason)


def inputs(
    events=(),
    subscriptions=(),
    accounts=("a",),
    created=None,
    tickets=None,
    nps=None,
):
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
        None
        if tickets is None
        else pl.LazyFrame(
            [("a", AS_OF - timedelta(days=days)) for days in tickets],
            schema={"account": pl.String, "opened_at": MOMENT},
            orient="row",
        ),
        None
        if nps is None
        else pl.LazyFrame(
            [("a", AS_OF - timedelta(days=days), score) for days, score in nps],
            schema={"account": pl.String, "at": MOMENT, "score": pl.Int64},
            orient="row",
        ),
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
    row = one(tickets=[20])

    assert row["events_90d"] is None
    assert row["tickets_90d"] is None
    assert row["integration_failure_rate"] is None
    assert row["days_since_last_ticket"] == 20
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


def test_there_are_at_least_thirty_features():
    assert len(set(FEATURE_NAMES)) >= 30


def test_entropy_is_that_of_the_features_used():
    halves = [event(20, "a", n=2), event(21, "b"), event(22, "c")]

    assert one(halves)["usage_entropy"] == pytest.approx(1.5, abs=1e-5)
    assert one([event(20, "a", n=9)])["usage_entropy"] == 0


def test_gaps_against_the_own_rhythm():
    row = one([event(days) for days in (100, 102, 104, 140, 142)])

    assert (row["usual_gap"], row["longest_gap"]) == (10.5, 36)
    assert row["earlier_returns"] == 1
    assert row["silence_against_rhythm"] == pytest.approx(100 / 10.5)


def test_who_was_there_on_one_day_has_no_rhythm():
    row = one([event(20)])

    assert (row["usual_gap"], row["longest_gap"]) == (None, None)
    assert row["silence_against_rhythm"] == 20
    assert row["earlier_returns"] == 0


def test_setting_up_and_connecting_count_what_worked():
    row = one(
        [
            event(90, "onboarding.wizard"),
            event(80, "onboarding.team"),
            event(79, "onboarding.data", ok=False),
            event(78, "integration.slack", ok=False),
            event(77, "integration.slack"),
            event(76, "integration.sap", ok=False),
        ]
    )

    assert (row["onboarding_step"], row["days_to_onboarding_step"]) == (2, 10)
    assert row["integrations_connected"] == 1
    assert row["failure_rate"] == 0.5


def test_people_and_the_seats_they_fill():
    row = one(
        [event(20), event(60, who="p2"), event(120, who="p3"), event(20, who=None)],
        [contract("2025-01-01", seats=4)],
    )

    assert (row["active_users_30d"], row["active_users_90d"]) == (1, 2)
    assert row["seat_use"] == 0.5


def test_weekends_first_month_and_intensity():
    # AS_OF is a Thursday: 4 and 5 days before are Sunday and Saturday.
    row = one([event(4, n=3), event(5), event(7, n=4), event(62)])

    assert row["weekend_share"] == pytest.approx(4 / 9)
    assert row["first_month_events"] == 1
    assert row["events_per_active_day"] == pytest.approx(9 / 4)


def test_tickets_near_the_end_and_since_the_last():
    row = one([event(50)], tickets=[20, 60, 200])

    assert (row["tickets_90d"], row["days_since_last_ticket"]) == (2, 20)
    assert one([event(50)], tickets=[])["tickets_90d"] == 0
    assert one([event(50)])["tickets_90d"] is None


def test_the_last_answer_counts():
    row = one([event(50)], nps=[(20, 4), (20, 7), (300, 10)])

    assert row["nps"] == 5.5
    assert one([event(50)])["nps"] is None


def test_changes_of_plan_and_discounts():
    row = one(
        [event(50)],
        [
            contract("2025-01-01", mrr=1000),
            contract("2025-03-01", mrr=2000, discount=500),
            contract("2025-02-01", free=True),
        ],
    )

    assert (row["plan_changes"], row["discount_share"]) == (1, 0.25)


def test_accounts_in_shares_are_the_same_as_all_at_once():
    accounts = [f"a{n}" for n in range(7)]
    events = [
        event(20 + n % 50, f"f{n % 3}", account=f"a{n % 6}", who=f"p{n % 4}", n=n)
        for n in range(1, 90)
    ]
    given = inputs(events, accounts=accounts)

    together = features_as_of(given, as_of=AS_OF).to_native()
    shares = features_as_of(given, as_of=AS_OF, events_at_once=10).to_native()

    assert together.equals(shares)
    assert together["account"].to_list() == accounts


def test_what_comes_later_changes_no_feature():
    given = [[event(50), event(3)], [contract("2025-01-01")]]
    later = [
        [*given[0], event(-1, "late", who="late")],
        [*given[1], contract("2026-02-01", mrr=9)],
    ]

    assert features(*given, tickets=[9], nps=[(9, 3)]).equals(
        features(*later, tickets=[9, -5], nps=[(9, 3), (-4, 10)])
    )


def test_equal_accounts_are_equal_to_the_last_bit_in_any_shares():
    accounts = ["a1", "a2", "a3"]
    # Of these seconds the inverse of a day makes another last bit than dividing.
    events = [event(395_652 / 86_400, account=account) for account in accounts]
    later = [event(-n, account="a1") for n in range(1, 40)]

    for given in (events, events + later):
        for at_once in (1, 2, 3, 100):
            table = features_as_of(
                inputs(given, accounts=accounts), as_of=AS_OF, events_at_once=at_once
            ).to_native()
            assert table.drop("account").n_unique() == 1


def test_counts_of_any_size_have_an_entropy():
    row = one([event(20, "a", n=10**12), event(21, "b", n=10**12)])

    assert row["usage_entropy"] == 1
    assert row["events_30d"] == 2 * 10**12
