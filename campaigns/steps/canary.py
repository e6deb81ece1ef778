"""The canary: a mail whose Send event proves that events flow.

It goes to Amazon's mailbox simulator. A message may only be held, as one that SES never
took, while events flow.

https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html
"""

from typing import Final

from campaigns.domain.values import Email, ProviderEvent
from campaigns.domain.words import EventKind

_ADDRESS: Final = "success@simulator.amazonses.com"
_TEXT: Final = "This mail asks whether the events of Amazon SES still reach Winback."


def email(instance: str) -> Email:
    """Return the canary of an instance; no person gets it."""
    return Email(
        to=_ADDRESS,
        subject="Winback canary",
        html=f"<p>{_TEXT}</p>",
        text=_TEXT,
        headers={},
        tags={"wb_instance": instance, "wb_canary": "1"},
    )


def is_back(event: ProviderEvent, *, instance: str) -> bool:
    """Say whether an event is the Send event of our canary."""
    tags = event.tags
    is_ours = tags.get("wb_instance") == instance and "wb_canary" in tags
    return is_ours and event.kind is EventKind.SEND
