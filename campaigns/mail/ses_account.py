"""What Amazon SES keeps of its own about our account: whom it writes to no more."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from campaigns.errors import RetryLaterError

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client

# https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListSuppressedDestinations.html
_PER_PAGE: Final = 1_000


class SesAccount:
    """What is asked of the account besides sending; no call changes anything there.

    Args:
        client: A boto3 `sesv2` client.
    """

    def __init__(self, client: "SESV2Client") -> None:
        self._client = client

    def suppressed(self, *, since: datetime | None) -> Iterator[list[str]]:
        """Yield, page by page, the addresses on SES's own suppression list.

        Args:
            since: Only those put there after this moment; None for all.

        Raises:
            RetryLaterError: SES did not answer, or refused to.
        """
        asked: dict[str, Any] = {"PageSize": _PER_PAGE}
        if since is not None:
            asked["StartDate"] = since
        while True:
            page = _answered(
                "ListSuppressedDestinations",
                lambda: self._client.list_suppressed_destinations(**asked),
            )
            listed = page.get("SuppressedDestinationSummaries", [])
            yield [each["EmailAddress"] for each in listed]
            if not page.get("NextToken"):
                return
            asked["NextToken"] = page["NextToken"]


def _answered(operation: str, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 — boto3's own dictionary
    try:
        return ask()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "no code")
        hint = ""
        if code == "AccessDeniedException":
            hint = f"; allow the sender's role ses:{operation}"
        raise RetryLaterError(f"SES refused {operation}: {code}{hint}") from error
    except BotoCoreError as error:
        kind = type(error).__name__
        raise RetryLaterError(f"SES did not answer {operation}: {kind}") from error
