"""Answers in the form of AWS's errors: a code, a sentence, an HTTP status.

Codes and sentences are those of the API reference and of SES's own answers.
https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html
"""


class RefusedError(Exception):
    """An operation was refused as SES would refuse it.

    Args:
        code: AWS's name of the error.
        message: A sentence.
        status: Of HTTP.
        of_entry: What the same refusal is called in the answer of a bulk call.
            https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_BulkEmailEntryResult.html
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        *,
        of_entry: str = "INVALID_PARAMETER",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.of_entry = of_entry


def bad_request(message: str) -> RefusedError:
    """Return the refusal of a request that is not well formed."""
    return RefusedError("BadRequestException", message)


def not_found(what: str, *, of_entry: str = "INVALID_PARAMETER") -> RefusedError:
    """Return the refusal of a request that names what does not exist."""
    message = f"{what} does not exist."
    return RefusedError("NotFoundException", message, 404, of_entry=of_entry)


def exists_already(what: str) -> RefusedError:
    """Return the refusal to make what is there already."""
    return RefusedError("AlreadyExistsException", f"{what} already exists.")


def not_verified(address: str) -> RefusedError:
    """Return the refusal of a mail from an address that is not ours."""
    return RefusedError(
        "MessageRejected",
        "Email address is not verified. The following identities failed the check in "
        f"region LOCAL: {address}",
        of_entry="MAIL_FROM_DOMAIN_NOT_VERIFIED",
    )


def throttled() -> RefusedError:
    """Return the refusal of a request that comes too fast."""
    message = "Maximum sending rate exceeded."
    return _too_many(message, of_entry="ACCOUNT_THROTTLED")


def quota_used_up() -> RefusedError:
    """Return the refusal of a request that is one too many for a day."""
    message = "Daily message quota exceeded."
    return _too_many(message, of_entry="ACCOUNT_DAILY_QUOTA_EXCEEDED")


def _too_many(message: str, *, of_entry: str) -> RefusedError:
    return RefusedError("TooManyRequestsException", message, 429, of_entry=of_entry)


def paused(name: str | None = None) -> RefusedError:
    """Return the refusal to send while sending is paused."""
    what = f"configuration set <{name}>" if name else "this account"
    whose = "CONFIGURATION_SET" if name else "ACCOUNT"
    return RefusedError(
        "SendingPausedException",
        f"Email sending is paused for {what}.",
        of_entry=f"{whose}_SENDING_PAUSED",
    )
