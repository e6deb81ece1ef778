"""Answers in the form of AWS's errors: a code, a sentence, an HTTP status.

Codes and sentences are those of the API reference and of SES's own answers.
https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html
"""


class RefusedError(Exception):
    """An operation was refused as SES would refuse it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def bad_request(message: str) -> RefusedError:
    """Return the refusal of a request that is not well formed."""
    return RefusedError("BadRequestException", message)


def not_found(what: str) -> RefusedError:
    """Return the refusal of a request that names what does not exist."""
    return RefusedError("NotFoundException", f"{what} does not exist.", 404)


def exists_already(what: str) -> RefusedError:
    """Return the refusal to make what is there already."""
    return RefusedError("AlreadyExistsException", f"{what} already exists.")


def throttled(message: str = "Maximum sending rate exceeded.") -> RefusedError:
    """Return the refusal of a request that comes too fast, or one too many."""
    return RefusedError("TooManyRequestsException", message, 429)


def paused(name: str | None = None) -> RefusedError:
    """Return the refusal to send while sending is paused."""
    what = f"configuration set <{name}>" if name else "this account"
    return RefusedError(
        "SendingPausedException", f"Email sending is paused for {what}."
    )
