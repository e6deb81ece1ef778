import pytest
from pydantic import ValidationError

from campaigns.domain.addresses import hash_address, normalise_address
from campaigns.domain.campaign import CampaignDefinition, template_for
from campaigns.domain.records import Account, Contact, Release, Subscription, Usage
from tests.factories import at

CONTACT = {"id": "p1", "account": "a", "email": "ada@example.com"}
USAGE = {"account": "a", "at": "2026-01-01T00:00Z", "feature": "f"}


@pytest.mark.parametrize(
    ("record", "values"),
    [
        (Account, {"id": "", "name": "A"}),
        (Account, {"id": "a\x00b", "name": "A"}),
        (Account, {"id": "a", "name": "A\u202eB"}),
        (Account, {"id": "a", "name": "A", "time_zone": "Berlin"}),
        (Account, {"id": "a", "name": "A", "colour": "red"}),
        (Contact, CONTACT | {"email": "ada"}),
        (Contact, CONTACT | {"email": "ada@example.com\nBcc: eve@example.com"}),
        (Usage, USAGE | {"at": "2026-01-01T00:00"}),
        (Usage, USAGE | {"count": 0}),
        (Usage, USAGE | {"outcome": "perhaps"}),
        (Release, {"id": "r", "date": "soon", "title": "t", "text": "t"}),
    ],
)
def test_a_bad_record_cannot_exist(record, values):
    with pytest.raises(ValidationError):
        record.model_validate(values)


def test_a_subscription_cannot_end_before_it_starts():
    with pytest.raises(ValidationError, match="before started_at"):
        Subscription(
            id="s",
            account="a",
            plan="Team",
            started_at=at("2026-02-01"),
            ended_at=at("2026-01-01"),
        )


def test_times_are_kept_in_utc():
    used = Usage.model_validate(USAGE | {"at": "2026-01-01T09:00+01:00"})

    assert used.at.isoformat() == "2026-01-01T08:00:00+00:00"


def test_an_address_is_recognised_in_any_writing():
    key = b"k" * 32

    assert hash_address(" Ada@EXAMPLE.com", key=key) == hash_address(
        "ada@example.com", key=key
    )
    assert normalise_address("ada@bücher.example") == "ada@xn--bcher-kva.example"


def test_a_hash_needs_its_key_and_holds_no_address():
    hashed = hash_address("ada@example.com", key=b"k" * 32)

    assert hashed != hash_address("ada@example.com", key=b"x" * 32)
    assert "ada" not in hashed


CAMPAIGN = {
    "name": "spring",
    "steps": [{"template": "t"}],
    "schedule": {"on": "2026-01-05"},
}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"name": "Spring!"}, "pattern"),
        ({"steps": []}, "at least 1"),
        ({"steps": [{"template": "a"}, {"template": "b"}]}, "days_after_previous"),
        ({"schedule": {}}, "either"),
        ({"schedule": {"cron": "0 8 * * mon"}}, "cohorts"),
        ({"schedule": {"on": "2026-01-05", "cohorts": 3}}, "cohorts"),
        ({"schedule": {"on": "2026-01-05", "hours": [17, 9]}}, "first before last"),
        (
            {"schedule": {"on": "2026-01-05", "weekdays": ["someday"]}},
            "Input should be",
        ),
        ({"audience": {"churned_days_min": 9, "churned_days_max": 3}}, "below"),
        ({"steps": [{"template": "t", "exit_when_back": False}]}, "Input should be"),
        ({"budget": 5}, "not permitted"),
    ],
)
def test_a_wrong_campaign_is_refused(part, message):
    with pytest.raises(ValidationError, match=message):
        CampaignDefinition.model_validate(CAMPAIGN | part)


def test_a_step_takes_the_segments_template():
    campaign = CampaignDefinition.model_validate(
        CAMPAIGN | {"steps": [{"template": "{segment}-follow-up"}]}
    )

    (text,) = campaign.steps[0].texts
    assert template_for(text, "slow-fade") == "slow-fade-follow-up"
