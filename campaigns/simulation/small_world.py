"""A small company whose accounts left, and one campaign for them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Final

from campaigns.domain.addresses import hash_address
from campaigns.domain.campaign import CampaignDefinition
from campaigns.domain.definitions import WinBackDefinition
from campaigns.domain.records import Account, Contact
from campaigns.domain.values import Score
from campaigns.steps.enrol import Programme, enrol
from campaigns.store import (
    campaigns,
    cohorts,
    episodes,
    instance,
    records,
    scores,
)
from campaigns.store.session import Sessions

START: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)  # a Monday
CAMPAIGN: Final = "trial"
INSTANCE: Final = "simulated"
_WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FACTS: Final = {"features": ["reports"], "favourite_feature": "reports"}
_BEHAVIOURS: Final = ("receive",) * 6 + (
    "hard_bounce",
    "soft_bounce",
    "complaint",
    "on_suppression_list",
    "scanner",
    "clicker",
)
address_hash: Final = partial(hash_address, key=b"simulated address-hash key 00000")


@dataclass(frozen=True, slots=True)
class SmallWorld:
    """Who there is.

    Attributes:
        accounts: Their ids.
        addresses: The address of each contact, some of them the same.
        steps: Mails of the campaign's sequence.
        holdout_share: Who is not written to.
        behaviours: How mailboxes behave.
        mails_per_day: The campaign's cap, if it has one.
        first_mails: How many it sends before it knows what became of them.
    """

    accounts: tuple[str, ...]
    addresses: dict[str, str]
    steps: int
    holdout_share: float
    behaviours: dict[str, str]
    mails_per_day: int | None
    first_mails: int


def draw_world(rng: Random) -> SmallWorld:
    """Return a world; the same for the same state of `rng`."""
    accounts = tuple(f"acc-{n}" for n in range(rng.randint(5, 14)))
    people = [f"p{n}@{account}.example" for n, account in enumerate(accounts)]
    return SmallWorld(
        accounts,
        {
            # Now and then two accounts share a person.
            account: rng.choice(people) if rng.random() < 0.1 else people[n]  # noqa: PLR2004
            for n, account in enumerate(accounts)
        },
        steps=rng.choice((1, 1, 2)),
        holdout_share=rng.choice((0.0, 0.2, 0.4)),
        behaviours={person: rng.choice(_BEHAVIOURS) for person in people},
        mails_per_day=rng.choice((None, 2, 4)),
        first_mails=rng.choice((1, 3, 50)),
    )


def settle_in(world: SmallWorld, sessions: Sessions) -> None:
    """Store the world, launch its campaign, and enrol its accounts."""
    with sessions.begin() as session:
        instance.create(session, name=INSTANCE, now=START)
        records.put(
            session,
            "accounts",
            [Account(id=each, name=f"Company {each}") for each in world.accounts],
            address_hash=address_hash,
        )
        people = [
            Contact(id=f"{account}-p", account=account, email=email, first_name="Ada")
            for account, email in world.addresses.items()
        ]
        records.put(session, "contacts", people, address_hash=address_hash)
        left = dict.fromkeys(world.accounts, START - timedelta(days=40))
        episodes.record_churn(session, left, definition="ended")
        found = [Score(each, "general", 0.9, ("left",), _FACTS) for each in left]
        scores.replace_batch(session, [found], as_of=START, model="simulated")
        campaigns.apply(session, _campaign(world), now=START)
        campaigns.launch(session, CAMPAIGN, cohorts=[START], now=START)
        (cohort,) = cohorts.due_cohorts(session, now=START)
    programme = Programme(
        holdout_key=b"simulated holdout key 0000000000",
        holdout_share=world.holdout_share,
        win_back=WinBackDefinition(
            "simulated", "paid", timedelta(days=30), timedelta(days=14)
        ),
        default_time_zone="UTC",
    )
    enrol(sessions, cohort, programme=programme, now=START)


def _campaign(world: SmallWorld) -> CampaignDefinition:
    follow_up = {"template": "general-follow-up", "days_after_previous": 5}
    return CampaignDefinition.model_validate(
        {
            "name": CAMPAIGN,
            "steps": [{"template": "general"}, follow_up][: world.steps],
            "schedule": {"on": START, "hours": (0, 24), "weekdays": _WEEK},
            "caps": {
                "mails_per_day": world.mails_per_day,
                "first_mails": world.first_mails,
            },
        }
    )
