from datetime import timedelta

import pytest

from campaigns.domain.campaign import Audience, Schedule
from campaigns.domain.values import Candidate, CandidateContact
from campaigns.domain.words import Arm, CampaignState, ContactChoice, MessageState
from campaigns.rules.eligibility import (
    choose_contact,
    dormancy_band,
    final_no,
    not_before,
    refusal_of,
)
from tests.factories import NOON, gate_facts


def candidate(**changes):
    values = {
        "account": "acc-1",
        "episode": 1,
        "churned_at": NOON - timedelta(days=20),
        "time_zone": None,
        "persona": None,
        "segment": "slow-fade",
        "score": 1,
        "uplift": None,
        "enrolled_here": False,
        "enrolled_elsewhere": False,
    }
    return Candidate(**(values | changes))


def contact(id_="p1", **changes):
    values = {
        "id": id_,
        "account": "acc-1",
        "address_hash": id_,
        "is_admin": False,
        "last_active_at": None,
        "time_zone": None,
        "is_suppressed": False,
    }
    return CandidateContact(**(values | changes))


def refusal(contacts=None, audience=None, **changes):
    return refusal_of(
        candidate(**changes),
        audience=audience or Audience(),
        contacts=[contact()] if contacts is None else contacts,
        now=NOON,
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"enrolled_here": True}, "already_enrolled"),
        ({"enrolled_elsewhere": True}, "in_another_campaign"),
        ({"score": None}, "not_scored"),
        ({"contacts": ()}, "no_contact"),
        ({"contacts": (contact(is_suppressed=True),)}, "all_contacts_suppressed"),
        ({"audience": Audience(segments=("general",))}, "segment_not_wanted"),
        ({"audience": Audience(churned_days_min=21)}, "churned_too_recently"),
        ({"audience": Audience(churned_days_max=19)}, "churned_too_long_ago"),
        # Two reasons hold; the first is given.
        ({"enrolled_here": True, "contacts": ()}, "already_enrolled"),
    ],
)
def test_a_refusal_has_exactly_one_reason(changes, reason):
    assert refusal(**changes) == reason


def test_the_only_open_contact_is_chosen():
    chosen, why = choose_contact([contact("a", is_suppressed=True), contact("b")])

    assert (chosen.id, why) == ("b", ContactChoice.ONLY_CONTACT)


def test_who_was_active_last_is_chosen_before_an_administrator():
    active = contact("b", last_active_at=NOON)

    chosen, why = choose_contact([contact("a", is_admin=True), active, contact("c")])

    assert (chosen.id, why) == ("b", ContactChoice.MOST_RECENTLY_ACTIVE)


def test_an_administrator_is_chosen_before_the_first_by_id():
    chosen, why = choose_contact([contact("a"), contact("b", is_admin=True)])

    assert (chosen.id, why) == ("b", ContactChoice.ADMINISTRATOR)


def test_the_first_by_id_is_chosen_last_in_any_order():
    chosen, why = choose_contact([contact("b"), contact("a")])

    assert (chosen.id, why) == ("a", ContactChoice.FIRST_BY_ID)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"is_suppressed": True}, "suppressed"),
        ({"arm": Arm.HOLDOUT}, "held_out"),
        ({"has_returned": True}, "already_back"),
        ({"window_ends_at": NOON}, "window_closed"),
        ({"previous_state": MessageState.SKIPPED}, "earlier_step_not_sent"),
        ({"previous_state": MessageState.REFUSED}, "earlier_step_not_sent"),
        ({"previous_state": MessageState.UNKNOWN}, None),
    ],
)
def test_the_gate_says_a_final_no_with_its_reason(changes, reason):
    assert final_no(gate_facts(**changes), now=NOON) == reason


OFFICE = Schedule(on=NOON, hours=(9, 17))  # Tuesday to Thursday; NOON is a Monday


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({}, None),
        ({"campaign_state": CampaignState.PAUSED}, timedelta(minutes=1)),
        ({"schedule": OFFICE}, timedelta(hours=21)),
        ({"mails_per_day": 5, "mails_today": 5}, timedelta(hours=12)),
        ({"mails_per_day": 5, "mails_today": 4}, None),
        ({"previous_state": MessageState.UNKNOWN}, timedelta(hours=1)),
        (
            {
                "previous_state": MessageState.ACCEPTED,
                "previous_settled_at": NOON - timedelta(days=1),
                "days_after_previous": 5,
            },
            timedelta(days=4),
        ),
    ],
)
def test_the_gate_lets_a_message_wait(changes, waits):
    until = not_before(gate_facts(**changes), now=NOON)

    assert until == (None if waits is None else NOON + waits)


@pytest.mark.parametrize(
    ("days", "band"),
    [
        (0, "0-29 days"),
        (30, "30-89 days"),
        (179, "90-179 days"),
        (180, "180 days and more"),
    ],
)
def test_dormancy_falls_into_bands(days, band):
    assert dormancy_band(NOON - timedelta(days=days), now=NOON) == band
