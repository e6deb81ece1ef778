"""Who is held out.

The holdout belongs to the programme: an account keeps its arm for ever and in every
campaign. Within an enrolment batch and a stratum the accounts without an arm are
ranked by a keyed hash and the lowest share is held out, so that each stratum is split
as evenly as its size allows. Accounts that share an address are one unit, in one arm.
"""

import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from campaigns.domain.words import Arm

_DRAW_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Unit:
    """Accounts that are assigned together, and the arm some of them already have."""

    accounts: tuple[str, ...]
    stratum: str
    arm: Arm | None = None

    @property
    def name(self) -> str:
        """The first account by id: what the draw is made for."""
        return self.accounts[0]


def draw(key: bytes, *parts: str) -> float:
    """Return a number in [0, 1) that only `key` and `parts` decide.

    A keyed hash rather than a random number: it needs no stored seed and gives the
    same answer on every machine, and without the key nobody can predict it.
    """
    digest = hmac.new(key, "\x1f".join(parts).encode(), sha256).digest()
    return int.from_bytes(digest[:_DRAW_BYTES]) / 256**_DRAW_BYTES


def units_by_address(
    addresses: Mapping[str, Iterable[str]],
    *,
    stratum_of: Mapping[str, str],
    arm_of: Mapping[str, Arm],
) -> tuple[list[Unit], list[str]]:
    """Join accounts that share an address into units.

    Args:
        addresses: The address hashes of each account, already assigned ones included.
        stratum_of: The stratum of each account of this batch.
        arm_of: The arm of each account that has one.

    Returns:
        The units, ordered by name, and the accounts that cannot be placed because they
        join accounts of both arms.
    """
    units, torn = [], []
    for members in _joined(addresses):
        mine = tuple(account for account in members if account in stratum_of)
        arms = {arm_of[account] for account in members if account in arm_of}
        if not mine:
            continue
        if len(arms) > 1:
            # Who has an arm keeps it; who has none cannot get one here.
            torn += [account for account in mine if account not in arm_of]
            units += [
                Unit((account,), stratum_of[account], arm_of[account])
                for account in mine
                if account in arm_of
            ]
            continue
        arm = next(iter(arms), None)
        units.append(Unit(mine, stratum_of[mine[0]], arm))
    return sorted(units, key=lambda unit: unit.name), sorted(torn)


def _joined(addresses: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the connected groups of accounts, each sorted, by union and find."""
    parent = {account: account for account in addresses}

    def root(account: str) -> str:
        while parent[account] != account:
            parent[account] = parent[parent[account]]
            account = parent[account]
        return account

    first_at: dict[str, str] = {}
    for account in sorted(addresses):
        for address in addresses[account]:
            other = root(first_at.setdefault(address, account))
            parent[root(account)] = other
    groups: dict[str, list[str]] = defaultdict(list)
    for account in sorted(addresses):
        groups[root(account)].append(account)
    return list(groups.values())


def assign_arms(
    units: Sequence[Unit], *, key: bytes, batch: str, holdout_share: float
) -> dict[str, Arm]:
    """Return the arm of every account of `units`.

    Units that have an arm keep it. Of the n others in a stratum, the floor of
    n × share with the lowest draws are held out, and one more with a probability of
    the remainder, itself drawn by hash: the expected share is exact in every stratum.
    """
    arms = {account: u.arm for u in units if u.arm for account in u.accounts}
    strata: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        if unit.arm is None:
            strata[unit.stratum].append(unit)
    for stratum, members in sorted(strata.items()):
        ranked = sorted(members, key=lambda unit: draw(key, "rank", unit.name))
        quota = len(members) * holdout_share
        is_rounded_up = draw(key, "round", batch, stratum) < quota % 1
        held_out = int(quota) + is_rounded_up
        for place, unit in enumerate(ranked):
            arm = Arm.HOLDOUT if place < held_out else Arm.TREATED
            arms.update(dict.fromkeys(unit.accounts, arm))
    return arms
