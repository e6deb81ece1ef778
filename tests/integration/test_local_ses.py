"""The local SES over HTTP: boto3 cannot tell the difference."""

import email
import email.policy
import threading
import time
import urllib.request
from datetime import timedelta

import boto3
import pytest
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError
from sqlalchemy import text

from campaigns.domain.values import Email
from campaigns.domain.words import EventKind
from campaigns.errors import (
    CampaignHaltedError,
    ConfigError,
    OutcomeUnknownError,
    RejectedError,
    RetryLaterError,
    SendError,
    SendingHaltedError,
    ThrottledError,
)
from campaigns.mail.local_ses.app import make_app
from campaigns.mail.local_ses.faults import FaultRequest
from campaigns.mail.local_ses.outbox import Outbox
from campaigns.mail.local_ses.protocol import NOW_HEADER
from campaigns.mail.local_ses.server import listen
from campaigns.mail.local_ses.ses import Limits, LocalSes
from campaigns.mail.ses import SesSender
from campaigns.mail.sqs import EventQueue, translate
from campaigns.steps import receive
from campaigns.store import campaigns
from campaigns.wiring.sending import queue_url
from tests.conftest import shared
from tests.factories import address_hash, enrolled


class Running:
    """A local SES in a thread, and clients that tell it the time."""

    def __init__(self, folder, clock, limits, behaviours=None):
        self.folder, self.clock = folder, clock
        self.outbox = Outbox(folder)
        self.ses = ses = LocalSes(self.outbox, clock, limits, behaviours or {})
        self.posts = 0
        app = make_app(ses)

        async def counted(scope, receive, send):
            self.posts += scope.get("path") == "/v2/email/outbound-emails"
            await app(scope, receive, send)

        config = uvicorn.Config(counted, log_level="error", lifespan="off")
        self.server = uvicorn.Server(config)
        listener = listen(0)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [listener]}
        )
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def client(self, name, **config):
        client = boto3.client(
            name,
            region_name="eu-west-1",
            endpoint_url=self.url,
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

        def tell(request, **_):
            request.headers[NOW_HEADER] = self.clock().isoformat()

        client.meta.events.register("before-send", tell)
        return client

    def sender(self, configuration_set="winback", client=None):
        return SesSender(
            client or self.client("sesv2"),
            from_address="Tidemark <hello@tidemark.example>",
            reply_to="team@tidemark.example",
            configuration_set=configuration_set,
        )

    def queue(self):
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName="winback-events")["QueueUrl"]
        return EventQueue(sqs, queue_url=url)

    def stop(self):
        self.server.should_exit = True
        self.thread.join()
        self.outbox.close()


@pytest.fixture
def start(tmp_path, clock):
    running = []

    def start(limits=None, **options):
        running.append(
            Running(tmp_path / "mails", clock, limits or Limits(), **options)
        )
        return running[-1]

    yield start
    for each in running:
        each.stop()


def sender_of(client):
    return SesSender(
        client,
        from_address="Tidemark <hello@tidemark.example>",
        reply_to=None,
        configuration_set="winback",
    )


def test_in_one_process_the_same_mails_events_and_errors_without_a_socket(
    in_process, clock
):
    _, client = in_process
    sender = sender_of(client("sesv2"))
    sqs = client("sqs")
    queue = EventQueue(
        sqs, queue_url=sqs.get_queue_url(QueueName="winback-events")["QueueUrl"]
    )

    message_id = sender.send(mail())
    clock.advance(seconds=2)
    events = queue.receive(wait_seconds=0)

    assert [each.event.kind for each in events] == [EventKind.SEND, EventKind.DELIVERY]
    assert events[0].event.ses_message_id == message_id
    queue.delete(events)
    assert sender.quota().sent_last_day == 1


@pytest.mark.parametrize(
    ("kind", "error", "taken"),
    [
        ("throttle", ThrottledError, 0),
        ("server_error", OutcomeUnknownError, 0),
        ("drop", OutcomeUnknownError, 0),
        ("cut_answer", OutcomeUnknownError, 1),
        ("time_out_after_accept", OutcomeUnknownError, 1),
    ],
)
def test_a_fault_is_the_same_doubt_with_and_without_a_socket(
    in_process, start, kind, error, taken
):
    inside, client = in_process
    outside = start()
    asked = FaultRequest.model_validate({"sends": [{"kind": kind}]})
    impatient = outside.sender(client=outside.client("sesv2", read_timeout=1))
    for ses, sender in (
        (inside, sender_of(client("sesv2"))),
        (outside.ses, impatient),
    ):
        ses.be_faulty(asked)

        with pytest.raises(error):
            sender.send(mail())
        assert len(ses.outbox.mails_after(0)) == taken
        sender.send(mail())


def mail(to="ada@example.com"):
    return Email(
        to=to,
        subject="Grüße",
        html="<p>Hello <b>Ada</b></p>",
        text="Hello Ada",
        headers={"List-Unsubscribe": "<https://x.example/u/1>"},
        tags={"wb_instance": "test", "wb_message": "7"},
    )


def kinds(queue):
    return [each.event.kind for each in queue.receive(wait_seconds=0)]


def test_a_mail_is_kept_as_a_readable_file(start):
    ses = start()
    message_id = ses.sender().send(mail())

    (path,) = ses.folder.glob("*.eml")
    kept = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert kept["Subject"] == "Grüße"
    assert kept["From"] == "Tidemark <hello@tidemark.example>"
    assert kept["Reply-To"] == "team@tidemark.example"
    assert kept["List-Unsubscribe"] == "<https://x.example/u/1>"
    assert message_id in kept["Message-ID"]
    assert kept.get_body(("plain",)).get_content().strip() == "Hello Ada"
    assert "<b>Ada</b>" in kept.get_body(("html",)).get_content()
    assert kept.get_boundary() == f"=_{message_id}"


def test_events_come_when_their_time_has_come_and_bear_our_tags(start, clock):
    ses = start()
    message_id = ses.sender().send(mail())
    queue = ses.queue()
    (first,) = queue.receive(wait_seconds=0)
    assert first.event.kind is EventKind.SEND
    assert first.event.tags["wb_message"] == "7"
    assert first.event.ses_message_id == message_id

    clock.advance(seconds=2)
    assert kinds(queue) == [EventKind.DELIVERY]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("success@simulator.amazonses.com", ["Send", "Delivery"]),
        ("bounce@simulator.amazonses.com", ["Send", "Bounce"]),
        ("bounce+label@simulator.amazonses.com", ["Send", "Bounce"]),
        ("complaint@simulator.amazonses.com", ["Send", "Delivery", "Complaint"]),
        ("suppressionlist@simulator.amazonses.com", ["Send", "Bounce"]),
        ("scan@example.com", ["Send", "Delivery", "Open", "Click"]),
        ("soft@example.com", ["Send", "Bounce"]),
        ("anyone@example.com", ["Send", "Delivery"]),
    ],
)
def test_mailboxes_behave_by_their_address(start, clock, address, told):
    behaviours = {"scan@example.com": "scanner", "soft@example.com": "soft_bounce"}
    ses = start(behaviours=behaviours)
    ses.sender().send(mail(address))
    clock.advance(days=3)

    received = ses.queue().receive(wait_seconds=0)

    assert [each.event.kind for each in received] == told
    bounces = [e.event.bounce for e in received if e.event.kind == "Bounce"]
    kinds = {"soft": "soft", "suppressionlist": "on_ses_list"}
    assert bounces in ([], [kinds.get(address.split("@")[0], "hard")])
    machine = [
        e.event.is_machine for e in received if e.event.kind in {"Open", "Click"}
    ]
    assert all(machine)


def test_an_event_is_hidden_until_deleted_or_its_time_is_up(start, clock):
    ses = start()
    ses.sender().send(mail())
    queue = ses.queue()
    (event,) = queue.receive(wait_seconds=0)
    assert queue.receive(wait_seconds=0) == []

    clock.advance(seconds=121)
    again = queue.receive(wait_seconds=0)
    assert event.envelope_id in {each.envelope_id for each in again}
    queue.delete(again)
    clock.advance(days=1)
    assert queue.receive(wait_seconds=0) == []


def test_rate_and_quota_are_enforced_in_sess_own_words(start, clock):
    ses = start(Limits(max_per_second=2, max_per_day=3))
    sender = ses.sender()
    sender.send(mail())
    sender.send(mail())
    with pytest.raises(ThrottledError, match="Maximum sending rate exceeded"):
        sender.send(mail())

    clock.advance(seconds=1)
    sender.send(mail())
    clock.advance(seconds=1)
    with pytest.raises(SendingHaltedError, match="Daily message quota exceeded"):
        sender.send(mail())
    quota = sender.quota()
    assert (quota.max_per_second, quota.left_today) == (2, 0)

    clock.advance(days=1)
    sender.send(mail())


def test_clients_of_two_clocks_keep_their_rates(start, clock):
    """Simulated clients may be hours apart; neither frees nor stops the other."""
    ses = start(Limits(max_per_second=2))
    sender = ses.sender()
    for _ in range(2):
        sender.send(mail())
        clock.advance(hours=1)
        sender.send(mail())
        clock.advance(hours=-1)
    with pytest.raises(RetryLaterError):
        sender.send(mail())
    clock.advance(hours=1)
    with pytest.raises(RetryLaterError):
        sender.send(mail())


def test_an_unknown_configuration_set_halts(start):
    ses = start()
    sender = ses.sender("other")

    assert ses.sender().unpublished() == []
    with pytest.raises(CampaignHaltedError):
        sender.unpublished()
    with pytest.raises(CampaignHaltedError, match="Configuration set <other>"):
        sender.send(mail())
    assert list(ses.folder.glob("*.eml")) == []


def test_a_sender_of_two_halves_is_refused_and_ours_is_quoted(start):
    ses = start()
    from campaigns.config import SendingSettings

    made = SendingSettings(
        from_address="hello@tidemark.example",
        from_name="Acme, Inc. Grüße",
        public_base_url="https://x.example",
    ).sender
    for sender, is_good in ((made, True), ("Acme, Inc. <a@x.example>", False)):
        client = SesSender(
            ses.client("sesv2"),
            from_address=sender,
            reply_to=None,
            configuration_set="winback",
        )
        if is_good:
            client.send(mail())
        else:
            with pytest.raises(RejectedError):
                client.send(mail())


def test_a_bad_request_is_an_aws_error(start):
    with pytest.raises(ClientError) as caught:
        start().client("sesv2").send_email(
            FromEmailAddress="a@example.com",
            Destination={"ToAddresses": []},
            Content={"Simple": {"Subject": {"Data": "x"}, "Body": {}}},
            ConfigurationSetName="winback",
        )

    assert caught.value.response["Error"]["Code"] == "BadRequestException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_mails_and_events_outlive_the_server(start, tmp_path, clock):
    first = start()
    first.sender().send(mail())
    first.stop()
    first.stop = lambda: None
    clock.advance(seconds=5)

    second = start()

    assert kinds(second.queue()) == [EventKind.SEND, EventKind.DELIVERY]
    next_id = second.sender().send(mail())
    assert next_id.startswith(f"{2:016x}")


def test_a_kill_between_file_and_row_leaves_no_half_mail(tmp_path):
    folder = tmp_path / "mails"
    folder.mkdir()
    (folder / "20260101-000000-000001.eml.part").write_bytes(b"half")

    Outbox(folder).close()

    assert list(folder.glob("*.eml*")) == []


def test_two_servers_do_not_share_a_folder(start, tmp_path):
    ses = start()
    with pytest.raises(Exception, match="another local SES"):
        Outbox(ses.folder)


def test_the_world_can_look_at_what_arrived(start):
    ses = start()
    ses.sender().send(mail())
    with urllib.request.urlopen(f"{ses.url}/_local/mails?after=0") as answer:
        import json

        (seen,) = json.load(answer)["mails"]
    assert seen["recipient"] == "ada@example.com"


class Answering:
    """A client whose one POST is answered by hand, through botocore's own parsing."""

    def __init__(self, ses, status=200, body=b"{}", error=None, code=None):
        from botocore.awsrequest import AWSResponse

        self.client = ses.client("sesv2")
        self.posts = 0

        class Raw:
            def stream(self):
                yield body

        headers = {"x-amzn-errortype": code} if code else {}

        def answer(request, **_):
            self.posts += 1
            if error:
                raise error
            return AWSResponse(request.url, status, headers, Raw())

        self.client.meta.events.register("before-send.sesv2.SendEmail", answer)


WANTED = (
    ("AMBIGUOUS", OutcomeUnknownError),
    ("same intent may be retried", ThrottledError),
    ("this message failed", RejectedError),
    ("this recipient failed", RejectedError),
    ("pause campaign", CampaignHaltedError),
    ("stop campaign until", SendingHaltedError),  # the quota is the account's
    ("stop ALL", SendingHaltedError),
    ("pause all", SendingHaltedError),
    ("pause + alarm", SendingHaltedError),
)
"""How the table words what must be done, and what we call it."""


def test_every_listed_answer_of_ses_is_classified(start):
    from tests.conftest import rows_of

    ses, tried = start(), 0
    for row in rows_of(shared("vectors", "ses_send_errors.csv")):
        if not row["http"].isdigit():
            continue
        text = row["required_classification"]
        expected = next(kind for words, kind in WANTED if words in text)
        for name in row["error"].split(" / "):
            code = None if name.startswith("(") else name.strip()
            body = f'{{"message": "{row["message"]}"}}'.encode()
            answering = Answering(ses, int(row["http"]), body, code=code)
            with pytest.raises(SendError) as caught:
                ses.sender(client=answering.client).send(mail())
            assert caught.type is expected, row
            assert answering.posts == 1
            tried += 1
    assert tried >= 14


@pytest.mark.parametrize("name", ["ReadTimeoutError", "ConnectionClosedError"])
def test_a_cut_connection_leaves_a_doubt_and_one_post(start, name):
    import botocore.exceptions

    error = getattr(botocore.exceptions, name)(endpoint_url="http://x")
    answering = Answering(start(), error=error)

    with pytest.raises(OutcomeUnknownError):
        SesSender(
            answering.client,
            from_address="a@example.com",
            reply_to=None,
            configuration_set="winback",
        ).send(mail())
    assert answering.posts == 1


def test_a_server_that_is_not_there_took_nothing(start):
    ses = start()
    sender = ses.sender()
    ses.stop()
    ses.stop = lambda: None

    with pytest.raises(RetryLaterError):
        sender.send(mail())
    with pytest.raises(RetryLaterError):
        sender.quota()


def test_amazons_own_examples_are_understood(start):
    import json

    examples = json.loads(shared("data", "ses", "aws_ses_examples.json").read_text())
    for name, event in examples.items():
        body = json.dumps({"MessageId": name, "Message": json.dumps(event)})
        read = translate(body, receipt="r").event
        assert read is not None, name
        assert read.ses_message_id == event["mail"]["messageId"]
        assert read.kind == (event.get("eventType") or event["notificationType"])


def test_a_queue_that_is_not_there_is_told_with_the_remedy():
    class NoQueue:
        def get_queue_url(self, **_name):
            error = {"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue"}}
            raise ClientError(error, "GetQueueUrl")

    assert queue_url(NoQueue(), "https://queue.example/1") == "https://queue.example/1"
    with pytest.raises(ConfigError, match=r"winback-events was not found.*queue_url"):
        queue_url(NoQueue(), None)


def test_events_that_are_published_nowhere_are_told_of():
    """Those of a destination that is off, or is no SNS topic, reach nobody here."""
    topic, both = {"SnsDestination": {"TopicArn": "arn:x"}}, ["SEND", "CLICK"]
    others = ["DELIVERY", "BOUNCE", "COMPLAINT", "REJECT", "OPEN"]

    class Ses:
        def get_configuration_set_event_destinations(self, **_named):
            told = [
                {"Enabled": True, "MatchingEventTypes": others, **topic},
                {"Enabled": False, "MatchingEventTypes": both[:1], **topic},
                {"Enabled": True, "MatchingEventTypes": both[1:]},
            ]
            return {"EventDestinations": told}

    assert sender_of(Ses()).unpublished() == both


SUPPRESSES = {
    "bounce-Permanent-NoEmail": "hard_bounce",
    "bounce-Permanent-Suppressed": "on_ses_list",
    # Somebody told SES no, by its own lists of topics: ours had not heard of it.
    "bounce-Permanent-UnsubscribedRecipient": "on_ses_list",
    "bounce-Transient-General-544": "hard_bounce",
    "bounce-case-and-display-address": "hard_bounce",
    "bounce-final-recipient-differs": "hard_bounce",
    "complaint-abuse": "complaint",
    "complaint-fraud": "complaint",
    "complaint-other": "complaint",
    "complaint-minimal": "complaint",
    "complaint-on-account-suppression": "on_ses_list",
    "legacy-notificationType-bounce": "hard_bounce",
    "legacy-notificationType-complaint": "complaint",
}
"""What each of the fixtures makes of the address; the others leave it as it is."""


def test_every_event_fixture_does_what_it_is_to(sessions, clock):
    import json

    lines = shared("vectors", "ses_event_fixtures.jsonl").read_text().splitlines()
    fixtures = {each["name"]: each for each in map(json.loads, lines)}
    hashes = {
        name: address_hash(f"p1@acc-{number}.example.com")
        for number, name in enumerate(fixtures)
    }
    enrolled(sessions, [f"acc-{number}" for number in range(len(fixtures))])
    with sessions.begin() as session:
        query = text("SELECT address_hash, id FROM messages")
        numbers = dict(session.execute(query).all())
    events = []
    for name, fixture in fixtures.items():
        message = fixture.get("raw")
        if message is None:
            event = fixture["event"]
            tags = {"wb_instance": ["test"]}
            tags["wb_message"] = [str(numbers[hashes[name]])]
            mail = {**event["mail"], "tags": tags, "messageId": name}
            message = json.dumps({**event, "mail": mail})
        body = json.dumps({"MessageId": name, "Message": message})
        events.append(translate(body, receipt=name))

    receive.keep(sessions, events, now=clock())

    with sessions.begin() as session:
        reasons = dict(
            session.execute(text("SELECT address_hash, reason FROM suppressions")).all()
        )
        status = campaigns.status(session, "spring")
    found = {name: reasons[each] for name, each in hashes.items() if each in reasons}
    assert found == SUPPRESSES
    assert status.paused_because.startswith("SES rejected a mail")


def _envelope(**mail):
    import json

    base = {"timestamp": "2026-01-05T12:00:00Z", "messageId": "m", "destination": ["a"]}
    event = {"eventType": "Send", "mail": base | mail, "send": {}}
    return json.dumps({"MessageId": "m", "Message": json.dumps(event)})


POISON = [
    "",
    "no json",
    "[]",
    '{"Message": 5}',
    '{"a": 1}',
    _envelope(tags={"x": []}),
    _envelope(tags="x"),
    _envelope(timestamp="2026-01-05T12:00:00"),
]


@pytest.mark.parametrize("body", POISON)
def test_what_is_not_understood_is_kept_as_it_is(body):
    received = translate(body, receipt="r")

    assert (received.event, received.raw) == (None, body)


def test_what_stands_beside_a_signed_message_is_nobodys_word():
    import json

    body = json.loads(_envelope())
    signed = translate(json.dumps(body), receipt="r").event
    forged = json.loads(body["Message"]) | {"eventType": "Complaint"}
    forged["mail"] = forged["mail"] | {"messageId": "forged"}

    assert translate(json.dumps(body | forged), receipt="r").event == signed


def test_fast_openers_are_machines(clock):
    import json

    moment = clock().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    later = (clock() + timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def opened(at_, agent):
        event = {
            "eventType": "Open",
            "mail": {"timestamp": moment, "messageId": "m", "destination": ["a"]},
            "open": {"timestamp": at_, "userAgent": agent},
        }
        body = json.dumps({"MessageId": "m", "Message": json.dumps(event)})
        return translate(body, receipt="r").event.is_machine

    assert opened(moment, "Mozilla/5.0 (X11)")
    assert opened(later, "Mozilla/5.0")
    assert not opened(later, "Mozilla/5.0 (X11)")
