"""What Amazon SES keeps of its own about our account: its list, and its totals."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from campaigns.domain.words import SesTotal
from campaigns.errors import RetryLaterError

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client

# https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListSuppressedDestinations.html
_PER_PAGE: Final = 1_000
_BETWEEN_SECONDS: Final = 1.1
_TRIES: Final = 5
_NEEDS: Final = {
    "ListSuppressedDestinations": "",
    "BatchGetMetricData": "; its totals need Virtual Deliverability Manager, which is "
    "switched on in the SES console",
}


class SesAccount:
    """What is asked of the account besides sending; no call changes anything there.

    Args:
        client: A boto3 `sesv2` client.
        sleep: Waits, for SES answers such questions about once a second.
    """

    def __init__(
        self, client: "SESV2Client", *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._sleep = sleep

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
            page = self._answered(
                "ListSuppressedDestinations",
                lambda: self._client.list_suppressed_destinations(**asked),
            )
            listed = page.get("SuppressedDestinationSummaries", [])
            yield [each["EmailAddress"] for each in listed]
            if not page.get("NextToken"):
                return
            asked["NextToken"] = page["NextToken"]
            self._sleep(_BETWEEN_SECONDS)

    def totals(
        self, *, start: date, end: date, configuration_set: str
    ) -> dict[tuple[date, SesTotal], int]:
        """Return what SES counted of a configuration set's mails on each day (UTC).

        Mails to the mailbox simulator, and bounces by the account's own suppression
        list, are in none of them.
        https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_BatchGetMetricDataQuery.html

        Args:
            start: The first day.
            end: The day after the last.
            configuration_set: Whose mails.

        Raises:
            RetryLaterError: SES did not answer, or refused to.
        """
        queries: Any = [
            {
                "Id": total.value,
                "Namespace": "VDM",
                "Metric": total.value,
                "Dimensions": {"CONFIGURATION_SET": configuration_set},
                "StartDate": datetime(start.year, start.month, start.day, tzinfo=UTC),
                "EndDate": datetime(end.year, end.month, end.day, tzinfo=UTC),
            }
            for total in SesTotal
        ]
        answer = self._answered(
            "BatchGetMetricData",
            lambda: self._client.batch_get_metric_data(Queries=queries),
        )
        for error in answer.get("Errors", []):
            raise _refused("BatchGetMetricData", error.get("Code", "no code"))
        counts: Counter[tuple[date, SesTotal]] = Counter()
        for result in answer["Results"]:
            for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                counts[at.astimezone(UTC).date(), SesTotal(result["Id"])] += value
        return dict(counts)

    def _answered(self, operation: str, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 — boto3's own dictionary
        """Return SES's answer; to ask again changes nothing, so it is patient."""
        for tried in range(1, _TRIES + 1):
            try:
                return ask()
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code", "no code")
                if code != "TooManyRequestsException" or tried == _TRIES:
                    raise _refused(operation, code) from error
            except BotoCoreError as error:
                kind = type(error).__name__
                raise RetryLaterError(
                    f"SES did not answer {operation}: {kind}"
                ) from error
            self._sleep(tried * _BETWEEN_SECONDS)
        raise AssertionError("the last try returns or raises")


def _refused(operation: str, code: str) -> RetryLaterError:
    is_denied = code in {"AccessDeniedException", "ACCESS_DENIED"}
    hint = f"; allow the sender's role ses:{operation}" if is_denied else ""
    return RetryLaterError(f"SES refused {operation}: {code}{hint}{_NEEDS[operation]}")
