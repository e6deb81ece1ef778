"""Contracts that run again under their id: a return, and their past is kept."""

from datetime import timedelta

import pytest

from campaigns.config import WinBackSettings
from campaigns.domain.values import Return
from campaigns.domain.words import ReturnKind
from campaigns.steps.settle import record_returns
from campaigns.store import episodes, oddities, records
from campaigns.store.tables.programme import EpisodeRow
from tests.factories import NOON, at

START, ENDED = at("2025-01-01"), at("2025-06-01")
SEEN = NOON + timedelta(days=40)
HEADER = "id,account,plan,plan_is_free,seats,started_at,ended_at,end_kind\n"
LEFT = HEADER + "s1,acc-1,Team,no,5,2025-01-01T00:00Z,2025-06-01T00:00Z,voluntary\n"
BACK = HEADER + "s1,acc-1,Team,no,5,2025-01-01T00:00Z,,\n"
FREE = BACK.replace("Team,no", "Free,yes")


@pytest.fixture
def bring(import_rows, clock):
    """Import contracts at a moment."""

    def bring(rows, when):
        clock.jump_to(when)
        return import_rows("subscriptions", rows).counts

    return bring


@pytest.fixture
def spans(sessions):
    def spans():
        with sessions.begin() as session:
            found = records.spans_of(session, ["acc-1"])["acc-1"]
        return [(each.started_at, each.ended_at) for each in found]

    return spans


@pytest.fixture(autouse=True)
def churned(place):
    """The account left in June."""
    with place.sessions.begin() as session:
        episodes.record_churn(session, {"acc-1": ENDED}, definition="ended")


@pytest.fixture
def returned(sessions, place):
    """Say when and how the account came back, if it did."""

    def returned():
        now = place.clock() + timedelta(minutes=1)
        definition = WinBackSettings().definition()
        with sessions.begin() as session:
            record_returns(session, place.lake, definition=definition, now=now)
            row = session.get_one(EpisodeRow, 1)
            return row.returned_at, row.return_kind

    return returned


def test_a_contract_that_runs_again_is_a_return_and_keeps_its_past(
    bring, spans, returned
):
    bring(LEFT, NOON)
    assert returned() == (None, None)

    bring(BACK, SEEN)

    assert returned() == (SEEN, "paid")
    assert spans() == [(START, ENDED), (SEEN, None)]


def test_what_changes_later_leaves_the_return_where_it_was(bring, spans):
    bring(LEFT, NOON)
    bring(BACK, SEEN)
    assert bring(BACK, SEEN + timedelta(days=1)).unchanged == 1
    bring(BACK.replace(",5,", ",9,"), SEEN + timedelta(days=2))
    assert spans() == [(START, ENDED), (SEEN, None)]

    ends = SEEN + timedelta(days=9)
    bring(BACK.replace("00:00Z,,", f"00:00Z,{ends:%Y-%m-%dT%H:%M}Z,"), ends)

    assert spans() == [(START, ENDED), (SEEN, ends)]


def test_a_contract_may_run_again_twice(bring, spans, returned, place):
    bring(LEFT, NOON)
    bring(BACK, SEEN)
    assert returned() == (SEEN, "paid")
    second = SEEN + timedelta(days=9)
    with place.sessions.begin() as session:
        episodes.record_churn(session, {"acc-1": second}, definition="ended")
    bring(BACK.replace("00:00Z,,", f"00:00Z,{second:%Y-%m-%dT%H:%M}Z,"), second)

    again = second + timedelta(days=30)
    bring(BACK, again)

    assert spans() == [(START, ENDED), (SEEN, second), (again, None)]


def test_an_end_that_lies_before_the_return_was_seen_is_taken(bring, spans):
    bring(LEFT, NOON)
    bring(BACK, SEEN)
    earlier = SEEN - timedelta(days=1)

    bring(BACK.replace("00:00Z,,", f"00:00Z,{earlier:%Y-%m-%dT%H:%M}Z,"), SEEN)

    assert (START, earlier) in spans()


def test_a_free_plan_that_becomes_a_paid_one_is_a_return(bring, spans, returned):
    bring(FREE, NOON)
    assert returned() == (None, None)

    bring(BACK, SEEN)

    assert returned() == (SEEN, "paid")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(BACK, LEFT, id="it-ends"),
        pytest.param(LEFT, LEFT.replace("06-01", "06-03"), id="its-end-moves"),
        pytest.param(
            LEFT.replace("2025-06-01", "2027-06-01"), BACK, id="an-end-to-come-is-off"
        ),
        pytest.param(BACK, FREE, id="it-becomes-free"),
        pytest.param(
            LEFT.replace("2025-06-01", "2026-01-20"), BACK, id="it-is-renewed"
        ),
        pytest.param(FREE.replace("2025-01", "2027-01"), BACK, id="it-was-to-begin"),
    ],
)
def test_other_changes_are_no_return(bring, spans, returned, before, after):
    bring(before, NOON)
    bring(after, SEEN)

    assert len(spans()) == 1
    assert returned() == (None, None)


def test_a_file_that_tells_of_a_later_start_is_believed(bring, spans, returned):
    bring(LEFT, NOON)
    bring(BACK.replace("2025-01-01", "2026-01-20"), SEEN)

    assert returned() == (at("2026-01-20"), "paid")
    assert spans() == [(at("2026-01-20"), None)]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(LEFT, [(START, ENDED)], id="that-was-wrong"),
        pytest.param(FREE, [(START, None)], id="it-becomes-free"),
        pytest.param(
            BACK.replace("2025-01-01", "2026-01-20"),
            [(START, ENDED), (at("2026-01-20"), None)],
            id="it-began-earlier",
        ),
    ],
)
def test_a_later_file_is_believed(bring, spans, last, expected):
    bring(LEFT, NOON)
    bring(BACK, SEEN)
    assert len(spans()) == 2

    bring(last, SEEN + timedelta(days=1))

    assert spans() == expected


def test_who_came_back_by_use_may_pay_again_later(bring, spans, place):
    bring(LEFT, NOON)
    with place.sessions.begin() as session:
        (episode,) = episodes.open_episodes(session)
        back = Return("acc-1", NOON, ReturnKind.USED)
        episodes.record_returns(session, [(episode, back)])

    bring(BACK, SEEN)

    assert spans() == [(START, ENDED), (SEEN, None)]


def test_who_has_not_left_does_not_come_back(bring, place):
    for rows, when in ((LEFT, NOON), (BACK, SEEN)):
        bring(rows.replace("acc-1", "acc-2"), when)

    with place.sessions.begin() as session:
        (spans,) = records.spans_of(session, ["acc-2"]).values()
    assert [each.ended_at for each in spans] == [None]


def test_they_are_told_as_odd(bring, place):
    bring(LEFT, NOON)
    bring(BACK, SEEN)

    with place.sessions.begin() as session:
        found = oddities.find(session, place.lake, now=SEEN)
    (odd,) = [each for each in found if "paid again" in each.name]
    assert (odd.odd, odd.of, odd.examples) == (1, 2, ("s1",))
