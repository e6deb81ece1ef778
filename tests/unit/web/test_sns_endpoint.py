"""SNS over HTTPS: what a topic of ours signed is taken, and no address is followed."""

import base64
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.applications import Starlette
from starlette.testclient import TestClient

from campaigns.errors import RetryLaterError
from campaigns.mail import sns
from campaigns.web.sns_endpoint import sns_route
from tests.conftest import shared
from tests.factories import NOON

TOPIC = "arn:aws:sns:eu-west-1:123456789012:winback-events"
CERTIFICATE = (
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-"
    "0123456789abcdef0123456789abcdef.pem"
)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
PEM = (
    x509.CertificateBuilder()
    .subject_name(NAME)
    .issuer_name(NAME)
    .public_key(KEY.public_key())
    .serial_number(1)
    .not_valid_before(NOON)
    .not_valid_after(NOON + timedelta(days=1))
    .sign(KEY, SHA256())
    .public_bytes(Encoding.PEM)
)


def message(**changes):
    said = {
        "Type": "Notification",
        "MessageId": "m-1",
        "TopicArn": TOPIC,
        "Message": '{"eventType": "Send"}',
        "Timestamp": NOON.isoformat(),
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE,
    }
    if changes.get("Type") not in {None, "Notification"}:
        said |= {"Token": "t-1", "SubscribeURL": "http://169.254.169.254/latest"}
    return {
        name: value for name, value in (said | changes).items() if value is not None
    }


def signed(**changes):
    said = message(**changes)
    is_first = said.get("SignatureVersion") == "1"
    algorithm = SHA1() if is_first else SHA256()  # noqa: S303 — Amazon's own choice
    text = sns.string_to_sign(said).encode()
    signature = KEY.sign(text, padding.PKCS1v15(), algorithm)
    return said | {"Signature": base64.b64encode(signature).decode()}


class Endpoint:
    """The endpoint, with what it took, confirmed and fetched."""

    def __init__(self, versions=("2",)):
        self.taken, self.confirmed, self.fetched = [], [], []
        self.is_reachable = True
        route = sns_route(
            verified=lambda body: sns.verified(
                body,
                topics=[TOPIC],
                versions=versions,
                certificate=self.certificate,
                now=NOON,
            ),
            take=self.taken.append,
            confirm=lambda topic, token: self.confirmed.append((topic, token)),
        )
        self._client = TestClient(Starlette(routes=[route]))

    def certificate(self, url):
        self.fetched.append(url)
        if not self.is_reachable:
            raise RetryLaterError("no answer")
        return PEM

    def post(self, said, **headers):
        body = said if isinstance(said, (str, bytes)) else json.dumps(said)
        return self._client.post("/sns", content=body, headers=headers).status_code


@pytest.fixture
def endpoint():
    return Endpoint()


def test_what_a_topic_of_ours_signed_is_taken(endpoint):
    said = signed(Subject="with a subject", Message="lines\nand \t\u0007 controls")

    assert endpoint.post(said) == 200
    assert [json.loads(each) for each in endpoint.taken] == [said]
    # An old one too: SNS tries for an hour, and each event is kept once.
    old = signed(Timestamp=(NOON - timedelta(hours=5)).isoformat())
    assert endpoint.post(old) == 200


def test_the_first_signature_version_is_taken_only_where_it_is_allowed(endpoint):
    said = signed(SignatureVersion="1")

    assert endpoint.post(said) == 403
    assert Endpoint(versions=("1", "2")).post(said) == 200


REFUSED = {
    "SignatureVersion absent": signed() | {"SignatureVersion": None},
    "SignatureVersion 3": signed(SignatureVersion="3"),
    "a foreign topic": signed(TopicArn=TOPIC.replace("123456789012", "210987654321")),
    "http": signed(SigningCertURL=CERTIFICATE.replace("https", "http")),
    "a longer host": signed(
        SigningCertURL="https://sns.us-east-1.amazonaws.com.evil.com/x.pem"
    ),
    "a query": signed(
        SigningCertURL="https://evil.com/?https://sns.us-east-1.amazonaws.com/x.pem"
    ),
    "another service": signed(
        SigningCertURL="https://s3.amazonaws.com/a/SimpleNotificationService-x.pem"
    ),
    "a bucket called sns": signed(
        SigningCertURL=CERTIFICATE.replace("eu-west-1", "s3-eu-west-1")
    ),
    "an unknown type": message(Type="Who Knows?"),
    "a changed body": signed() | {"Message": "{}"},
    "a changed subject": signed() | {"Subject": "put in later"},
    "no signature": message(),
    "no base64": message(Signature="§"),
    "an old confirmation": signed(
        Type="SubscriptionConfirmation",
        Timestamp=(NOON - timedelta(minutes=61)).isoformat(),
    ),
    "a confirmation of no time": signed(
        Type="SubscriptionConfirmation", Timestamp="Wat?"
    ),
    "no JSON": "no JSON",
    "a list": "[1]",
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused(endpoint, case):
    assert endpoint.post(REFUSED[case]) == 403
    assert (endpoint.taken, endpoint.confirmed) == ([], [])
    assert set(endpoint.fetched) <= {CERTIFICATE}


def test_a_subscription_is_confirmed_by_the_interface_and_no_address_is_followed(
    endpoint,
):
    assert endpoint.post(signed(Type="SubscriptionConfirmation")) == 200
    assert endpoint.confirmed == [(TOPIC, "t-1")]
    assert endpoint.fetched == [CERTIFICATE]


def test_the_end_of_a_subscription_is_an_alarm(endpoint, capsys):
    assert endpoint.post(signed(Type="UnsubscribeConfirmation")) == 200
    assert "subscription_ended" in capsys.readouterr().out
    assert (endpoint.taken, endpoint.confirmed) == ([], [])


def test_what_bears_no_signature_or_is_too_long_is_refused(endpoint):
    assert endpoint.post(signed(), **{"x-amz-sns-rawdelivery": "true"}) == 400
    assert endpoint.post(b"x" * 300_001) == 413


def test_sns_tries_again_where_the_certificate_cannot_be_had(endpoint):
    endpoint.is_reachable = False

    assert endpoint.post(signed()) == 503
    assert endpoint.taken == []


def test_what_is_signed_is_as_amazon_documents_it():
    cases = json.loads(shared("vectors", "sns_cases.json").read_text())
    said = {
        "Type": "Notification",
        "MessageId": "4d4dc071-ddbf-465d-bba8-08f81c89da64",
        "TopicArn": "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P",
        "Subject": "My subject",
        "Message": "My Test Message",
        "Timestamp": "2019-01-31T04:37:04.321Z",
    }

    assert sns.string_to_sign(said) == cases["string_to_sign_notification_example"]
    assert len(cases["negative_cases"]) == 14, "each has a test above"


def test_a_certificate_is_fetched_without_redirects():
    asked = []

    class Redirects(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Redirects) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(RetryLaterError):
            sns.Certificates().at(f"http://127.0.0.1:{server.server_port}/a.pem")
        server.shutdown()

    assert asked == ["/a.pem"]


def test_certificates_are_fetched_once_and_never_many_at_a_time():
    """Anybody can post names of certificates; AWS is not asked for each of them."""
    asked, now = [], [0.0]

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"pem")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        certificates = sns.Certificates(lambda: now[0])

        def at(name):
            return certificates.at(f"http://127.0.0.1:{server.server_port}/{name}")

        assert [at(n) for n in range(6)] == [b"pem"] * 6
        with pytest.raises(RetryLaterError, match="too many"):
            at(6)
        assert at(0) == b"pem", "the known ones go on"
        now[0] = 60.0
        at(6)
        server.shutdown()

    assert asked == [f"/{n}" for n in range(7)]
