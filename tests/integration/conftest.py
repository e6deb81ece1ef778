import boto3
import pytest
from botocore.config import Config

from campaigns.mail.local_ses.in_process import answer_in_process
from campaigns.mail.local_ses.outbox import Outbox
from campaigns.mail.local_ses.protocol import Protocol
from campaigns.mail.local_ses.ses import LocalSes
from campaigns.steps.import_file import Workplace
from campaigns.steps.ingest import ingest
from campaigns.steps.receive import Post
from campaigns.store.usage import UsageLake
from tests.factories import add_account, address_hash, desk
from tests.fakes import FakeQueue, FakeSes


@pytest.fixture
def place(sessions, tmp_path, clock):
    """Where imports read from and write to; the accounts acc-1 and acc-2 are there."""
    with sessions.begin() as session:
        add_account(session, "acc-1")
        add_account(session, "acc-2")
    lake = UsageLake(tmp_path / "usage")
    return Workplace(sessions, lake, tmp_path / "rejects", address_hash, clock)


@pytest.fixture
def import_rows(place, tmp_path):
    """Import text or bytes, as a file of some name; returns the result."""

    def import_rows(kind, content, *, name="rows.csv", mapping=None, **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        file = None
        if mapping:
            file = tmp_path / "map.toml"
            file.write_text(mapping)
        return ingest(kind, path, place=place, mapping_path=file, **options)

    return import_rows


@pytest.fixture
def take(import_rows):
    """Import some bytes; returns taken, unchanged, rejected and the first reason."""

    def take(*args, **options):
        result = import_rows(*args, **options)
        counts = result.counts
        reasons = [each.reason for each in result.first_rejections]
        return counts.taken, counts.unchanged, counts.rejected, *reasons[:1]

    return take


@pytest.fixture
def ses(clock):
    return FakeSes(clock)


@pytest.fixture
def sender(sessions, ses, clock):
    return desk(sessions, ses, clock)


@pytest.fixture
def queue():
    return FakeQueue()


@pytest.fixture
def post(sessions, queue, ses, clock):
    return Post(sessions, queue.receive, queue.waiting, queue.delete, ses.send, clock)


@pytest.fixture
def in_process(tmp_path, clock):
    """A local SES without a socket, and boto3 clients that reach it."""
    outbox = Outbox(tmp_path / "inside")
    ses = LocalSes(outbox, clock)
    protocol = Protocol(ses)

    def client(name):
        made = boto3.client(
            name,
            region_name="eu-west-1",
            endpoint_url="http://nowhere.invalid",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )
        answer_in_process(made, protocol)
        return made

    yield ses, client
    outbox.close()
