from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.domain.words import Arm
from campaigns.rules.holdout import Unit, assign_arms, draw, units_by_address

KEY = b"k" * 32
shares = st.floats(0, 1)
sizes = st.integers(0, 60)


def units(number, stratum="s"):
    return [Unit((f"acc-{i:04}",), stratum) for i in range(number)]


def assign(given, *, share=0.2, batch="b", key=KEY):
    return assign_arms(given, key=key, batch=batch, holdout_share=share)


def held_out(arms):
    return {account for account, arm in arms.items() if arm is Arm.HOLDOUT}


@given(sizes, shares)
def test_a_stratum_holds_out_its_share_to_the_nearest_account(size, share):
    count = len(held_out(assign(units(size), share=share)))

    assert abs(count - size * share) < 1


@given(sizes, shares, shares)
def test_a_larger_share_keeps_everyone_already_held_out(size, one, other):
    small, large = sorted((one, other))
    few = assign_arms(units(size), key=KEY, batch="b", holdout_share=small)
    many = assign_arms(units(size), key=KEY, batch="b", holdout_share=large)

    # The rounded account may differ when whole shares are equal; nobody else does.
    assert len(held_out(few) - held_out(many)) <= 1


def test_who_has_an_arm_keeps_it_for_ever():
    known = [Unit((f"old-{i}",), "s", Arm.HOLDOUT) for i in range(30)]

    arms = assign([*known, *units(30)], share=0)

    assert held_out(arms) == {f"old-{i}" for i in range(30)}


def test_the_remainder_is_rounded_by_hash_so_the_expected_share_is_exact():
    total = sum(
        len(held_out(assign(units(3), batch=f"batch-{i}"))) for i in range(2000)
    )

    assert total / 6000 == pytest.approx(0.2, abs=0.015)


def test_another_key_holds_out_others():
    assert held_out(assign(units(100))) != held_out(assign(units(100), key=b"x" * 32))


def test_each_stratum_is_split_by_itself():
    arms = assign([*units(50, "a"), *(Unit((f"b{i}",), "b") for i in range(50))])

    by_stratum = Counter(account[0] for account in held_out(arms))
    assert by_stratum == {"a": 10, "b": 10}


def test_accounts_that_share_an_address_are_one_unit():
    addresses = {"a": {"x"}, "b": {"x", "y"}, "c": {"y"}, "d": {"z"}}
    strata = dict.fromkeys("abcd", "s")

    found, torn = units_by_address(addresses, stratum_of=strata, arm_of={})

    assert [unit.accounts for unit in found] == [("a", "b", "c"), ("d",)]
    assert torn == []


def test_a_newcomer_follows_the_arm_of_whom_it_shares_an_address_with():
    addresses = {"old": {"x"}, "new": {"x"}}

    found, _ = units_by_address(
        addresses, stratum_of={"new": "s"}, arm_of={"old": Arm.HOLDOUT}
    )

    assert assign(found, share=0) == {"new": Arm.HOLDOUT}


def test_who_would_join_both_arms_is_not_placed():
    addresses = {"t": {"x"}, "h": {"y"}, "new": {"x", "y"}}
    arms = {"t": Arm.TREATED, "h": Arm.HOLDOUT}

    found, torn = units_by_address(addresses, stratum_of={"new": "s"}, arm_of=arms)

    assert (found, torn) == ([], ["new"])


def test_draws_are_uniform():
    draws = [draw(KEY, "rank", str(i)) for i in range(4000)]

    deciles = Counter(int(each * 10) for each in draws)
    assert all(330 < deciles[place] < 470 for place in range(10))
