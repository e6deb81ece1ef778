"""Events of SES, from bodies in memory into the ledger, in batches of a thousand."""

import json
import random
from datetime import timedelta

from tests.factories import NOON

BATCH = 1_000
HEADERS = [
    {"name": name, "value": "some value of the usual length, no shorter than that"}
    for name in ("From", "To", "Subject", "MIME-Version", "Content-Type", "Message-ID")
]


def bodies(count: int, *, mails: int):
    """Yield what the queue would hold: a Send and a Delivery, some bounces, repeats."""
    rng = random.Random(7)
    for n in range(count):
        message = n // 2 % mails + 1
        at = (NOON + timedelta(seconds=n % 2)).isoformat()
        mail = {
            "timestamp": at,
            "source": "Tidemark <hello@tidemark.example>",
            "sendingAccountId": "123456789012",
            "messageId": f"0100018f{message:08x}",
            "destination": [f"p{message}@example.com"],
            "headersTruncated": False,
            "headers": HEADERS,
            "tags": {
                "wb_instance": ["bench"],
                "wb_message": [str(message)],
                "ses:configuration-set": ["winback"],
                "ses:source-ip": ["203.0.113.7"],
                "ses:from-domain": ["tidemark.example"],
            },
        }
        event = {"eventType": "Send", "mail": mail, "send": {}}
        if n % 2:
            detail = {
                "timestamp": at,
                "processingTimeMillis": 521,
                "recipients": mail["destination"],
                "smtpResponse": "250 2.6.0 Message received",
                "reportingMTA": "a8-70.smtp-out.amazonses.com",
            }
            event = {"eventType": "Delivery", "mail": mail, "delivery": detail}
            if rng.random() < 0.01:
                bounced = [{"emailAddress": mail["destination"][0]}]
                detail = {
                    "bounceType": "Permanent",
                    "bounceSubType": "General",
                    "bouncedRecipients": bounced,
                    "timestamp": at,
                }
                event = {"eventType": "Bounce", "mail": mail, "bounce": detail}
        envelope = {
            "Type": "Notification",
            "MessageId": f"envelope-{n}",
            "TopicArn": "arn:aws:sns:eu-west-1:123456789012:winback-events",
            "Message": json.dumps(event),
            "Timestamp": at,
            "SignatureVersion": "1",
            "Signature": "x" * 344,
            "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/x.pem",
        }
        yield json.dumps(envelope)


def take_all(sessions, texts: list[str]) -> int:
    """Take all events; return how many were new."""
    from campaigns.mail.sqs import translate
    from campaigns.steps.receive import take

    new = 0
    for n in range(0, len(texts), BATCH):
        some = [translate(text, receipt="") for text in texts[n : n + BATCH]]
        with sessions.begin() as session:
            new += take(session, some, NOON).total()
    return new
