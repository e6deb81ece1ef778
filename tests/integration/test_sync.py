"""SES's own suppression list: all of it is learnt, and it is never written to."""

import pytest
from botocore.exceptions import ReadTimeoutError
from structlog.testing import capture_logs

from campaigns.errors import RetryLaterError
from campaigns.mail.ses_account import SesAccount
from campaigns.steps import sync
from campaigns.store import runs, suppressions
from tests.factories import add_account, address_hash


@pytest.fixture
def client(in_process):
    _, make = in_process
    return make("sesv2")


@pytest.fixture
def ses_list(client, sessions, clock):
    return sync.SesList(
        sessions,
        SesAccount(client, sleep=lambda _: None).suppressed,
        address_hash,
        clock,
    )


def put(client, *addresses, reason="BOUNCE"):
    for address in addresses:
        client.put_suppressed_destination(EmailAddress=address, Reason=reason)


def reasons(sessions):
    with sessions.begin() as session:
        return {hash_: reason for hash_, reason, _ in suppressions.everyone(session)}


def run(ses_list, clock):
    """Sync as the nightly job does."""
    with ses_list.sessions.begin() as session:
        number = runs.begin(session, sync.JOB, due_at=clock(), now=clock())
    result = sync.sync(ses_list)
    with ses_list.sessions.begin() as session:
        runs.end(session, number, now=clock(), result={})
    return result


def test_every_page_is_read_and_only_hashes_are_kept(ses_list, client, sessions):
    addresses = [f"person-{number}@example.com" for number in range(2_301)]
    put(client, *addresses)

    with capture_logs() as logs:
        result = sync.sync(ses_list)

    assert (result.read, result.added) == (2_301, 2_301)
    assert not logs, "strangers are no drift"
    expected = {address_hash(address): "on_ses_list" for address in addresses}
    assert reasons(sessions) == expected


def test_what_is_known_keeps_its_reason_and_is_no_drift(ses_list, client, sessions):
    known = {address_hash("ada@example.com"): ("unsubscribed", ses_list.clock())}
    with sessions.begin() as session:
        suppressions.add(session, known)
    put(client, "Ada@Example.com", reason="COMPLAINT")

    with capture_logs() as logs:
        result = sync.sync(ses_list)

    assert (result.read, result.added, result.contacts) == (1, 0, 0)
    assert reasons(sessions) == {address_hash("ada@example.com"): "unsubscribed"}
    assert not logs


def test_a_contact_that_only_ses_suppressed_raises_the_alarm_without_its_address(
    ses_list, client, sessions
):
    with sessions.begin() as session:
        add_account(session, "acc-1", email="ada@example.com")
    put(client, "ada@example.com", "stranger@example.com")

    with capture_logs() as logs:
        result = sync.sync(ses_list)

    assert (result.added, result.contacts) == (2, 1)
    (told,) = logs
    assert (told["event"], told["contacts"]) == ("suppressed_by_ses_only", 1)
    assert "ada" not in str(told)


def test_a_later_run_reads_what_came_since_the_last_good_one(ses_list, client, clock):
    put(client, "old@example.com")
    run(ses_list, clock)
    clock.advance(days=3)
    run(ses_list, clock)
    put(client, "new@example.com")
    clock.advance(hours=20)

    assert run(ses_list, clock).read == 1
    assert sync.sync(ses_list, in_full=True).read == 2


def test_what_is_no_address_is_counted_and_the_rest_is_taken(
    ses_list, client, sessions
):
    put(client, "not an address", "ada@example.com")

    result = sync.sync(ses_list)

    assert (result.read, result.added, result.not_understood) == (2, 1, 1)
    assert list(reasons(sessions)) == [address_hash("ada@example.com")]


def test_a_stop_between_pages_keeps_the_pages_before(ses_list, client, sessions):
    put(client, *(f"person-{number}@example.com" for number in range(1_500)))
    pages = ses_list.suppressed

    def stops(*, since):
        yield next(pages(since=since))
        raise RetryLaterError("SES did not answer")

    with pytest.raises(RetryLaterError):
        sync.sync(ses_list._replace(suppressed=stops))
    assert len(reasons(sessions)) == 1_000
    assert sync.sync(ses_list).added == 500


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            "AccessDeniedException",
            "SES refused ListSuppressedDestinations: AccessDeniedException; "
            "allow the sender's role ses:ListSuppressedDestinations",
        ),
        (
            "TooManyRequestsException",
            "SES refused ListSuppressedDestinations: TooManyRequestsException",
        ),
        (None, "SES did not answer ListSuppressedDestinations: ReadTimeoutError"),
    ],
)
def test_a_refusal_says_what_to_do(client, answer, told):
    def fail(**_):
        if answer is None:
            raise ReadTimeoutError(endpoint_url="")
        raise client.exceptions.from_code(answer)({"Error": {"Code": answer}}, "List")

    client.meta.events.register("before-call.sesv2", fail)

    with pytest.raises(RetryLaterError, match=f"^{told}$"):
        list(SesAccount(client, sleep=lambda _: None).suppressed(since=None))


def test_an_ses_that_answers_once_a_second_is_asked_no_faster(client, clock):
    put(client, *(f"person-{number}@example.com" for number in range(2_500)))
    asked_at, refused = [], []

    def throttle(**_):
        if asked_at and (clock() - asked_at[-1]).total_seconds() < 1:
            refused.append(clock())
            error = {"Error": {"Code": "TooManyRequestsException"}}
            raise client.exceptions.TooManyRequestsException(error, "List")
        asked_at.append(clock())

    client.meta.events.register_first("before-call.sesv2", throttle)
    account = SesAccount(client, sleep=lambda seconds: clock.advance(seconds=seconds))

    for _ in range(2):
        pages = list(account.suppressed(since=None))
        assert [len(page) for page in pages] == [1_000, 1_000, 500]
    assert len(refused) == 1, "only the second list came too soon"
