"""Amazon SNS over HTTPS: whether a message is from a topic of ours.

A valid signature only proves that some customer of AWS sent it: the topic must be one
that we allow. The certificate comes from an address that is AWS's own, whatever the
message says, and no address in a message is ever followed.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import base64
import binascii
import re
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from campaigns.errors import NotTrustedError, RetryLaterError

NOTIFICATION: Final = "Notification"
SUBSCRIPTION: Final = "SubscriptionConfirmation"
UNSUBSCRIPTION: Final = "UnsubscribeConfirmation"
_SIGNED: Final = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIPTION: (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn"),
        "Type",
    ),
}
_SIGNED[UNSUBSCRIPTION] = _SIGNED[SUBSCRIPTION]
_HASHES: Final[dict[str, type[HashAlgorithm]]] = {"1": SHA1, "2": SHA256}
_CERTIFICATE: Final = (
    r"https://sns\.{region}\.amazonaws\.com(\.cn)?"
    r"/SimpleNotificationService-[0-9a-f]{{32}}\.pem"
)
_CONFIRM_WITHIN: Final = timedelta(hours=1)
_FETCH_SECONDS: Final = 5
_LONGEST_CERTIFICATE: Final = 20_000
_FETCHES_PER_MINUTE: Final = 6
_MINUTE_SECONDS: Final = 60


def verified(
    body: bytes,
    *,
    topics: Collection[str],
    versions: Collection[str],
    certificate: Callable[[str], bytes],
    now: datetime,
) -> dict[str, str]:
    """Return an SNS message that is what it says.

    Old notifications are taken: SNS tries for an hour, and each is kept once. Only a
    confirmation is refused when it is old.

    Args:
        body: What was posted.
        topics: The topics of ours.
        versions: The signature versions that are accepted.
        certificate: Returns the PEM at an address of AWS; raises RetryLaterError.
        now: The time.

    Raises:
        NotTrustedError: It is none of ours, or was changed.
        RetryLaterError: The certificate cannot be had now.
    """
    message = _read(body)
    kind, topic = message["Type"], message["TopicArn"]
    if topic not in topics:
        _refuse("its topic is none of ours")
    if message["SignatureVersion"] not in versions:
        _refuse("its signature version is not accepted")
    # Of the topic's own region: a bucket of anybody's may be called `sns`.
    region = re.escape(topic.split(":")[3])
    pattern = _CERTIFICATE.format(region=region)
    if not re.fullmatch(pattern, message["SigningCertURL"]):
        _refuse("its certificate is not AWS's")
    if kind == SUBSCRIPTION and not _is_recent(message["Timestamp"], now):
        _refuse("it is too old to be confirmed")
    _check(message, certificate(message["SigningCertURL"]))
    return message


def _refuse(because: str) -> NoReturn:
    raise NotTrustedError(f"a message to the SNS endpoint was refused: {because}")


def _read(body: bytes) -> dict[str, str]:
    try:
        message: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        _refuse("it is no JSON")
    kind = message.get("Type") if isinstance(message, Mapping) else None
    if kind not in _SIGNED:
        _refuse("it is of no known type")
    names = {*_SIGNED[kind], "SignatureVersion", "Signature", "SigningCertURL"}
    names -= set() if "Subject" in message else {"Subject"}
    if not all(isinstance(message.get(name), str) for name in names):
        _refuse("it lacks something")
    return {name: message[name] for name in names}


def _is_recent(timestamp: str, now: datetime) -> bool:
    try:
        return abs(now - datetime.fromisoformat(timestamp)) <= _CONFIRM_WITHIN
    except (ValueError, TypeError):
        return False


def string_to_sign(message: Mapping[str, str]) -> str:
    """Return what the signature of a message is made of."""
    names = [name for name in _SIGNED[message["Type"]] if name in message]
    return "".join(f"{name}\n{message[name]}\n" for name in names)


def _check(message: Mapping[str, str], pem: bytes) -> None:
    try:
        key = x509.load_pem_x509_certificate(pem).public_key()
        signature = base64.b64decode(message["Signature"], validate=True)
    except (ValueError, binascii.Error):
        _refuse("its signature or certificate cannot be read")
    if not isinstance(key, RSAPublicKey):
        _refuse("its certificate is of another kind")
    algorithm = _HASHES[message["SignatureVersion"]]()
    signed = string_to_sign(message).encode()
    try:
        key.verify(signature, signed, PKCS1v15(), algorithm)
    except InvalidSignature:
        _refuse("its signature is wrong")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class Certificates:
    """AWS's certificates, each fetched once.

    Args:
        clock: Returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fetched = dict[str, bytes]()
        self._asked_at = deque[float](maxlen=_FETCHES_PER_MINUTE)

    def at(self, url: str) -> bytes:
        """Return the certificate at an address that was checked.

        Raises:
            RetryLaterError: It cannot be had now, or too many were asked for lately:
                anybody can post names of certificates that AWS never had.
        """
        if url not in self._fetched:
            now, asked = self._clock(), self._asked_at
            if len(asked) == asked.maxlen and now - asked[0] < _MINUTE_SECONDS:
                raise RetryLaterError("too many certificates of SNS were asked for")
            asked.append(now)
            self._fetched[url] = _fetch(url)
        return self._fetched[url]


def _fetch(url: str) -> bytes:
    """Return what is at an address; follows no redirect."""
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(url, timeout=_FETCH_SECONDS) as answer:
            return bytes(answer.read(_LONGEST_CERTIFICATE))
    except (OSError, urllib.error.URLError) as error:
        raise RetryLaterError("the certificate of SNS cannot be had now") from error
