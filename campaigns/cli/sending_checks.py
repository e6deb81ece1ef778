"""What `winback doctor` finds about Amazon: SES, its events and their queue."""

from collections.abc import Iterator
from typing import Any

from campaigns.cli.findings import Check
from campaigns.errors import CampaignHaltedError, SendError, WinbackError
from campaigns.mail.ses import SesSender
from campaigns.mail.sqs import EventQueue
from campaigns.wiring.sending import make_clients, queue_url, ses_endpoint
from campaigns.wiring.workspace import Workspace


def sending_checks(workspace: Workspace) -> Iterator[Check]:
    """Yield what is wrong with how mails go out and how events come back."""
    sending = workspace.settings.sending
    if sending.endpoint_url is None:
        remedy = 'set [sending] endpoint_url = "aws" to send for real'
        yield Check("note", "sending", "mails stay here, with the local SES", remedy)
        return
    if not sending.public_base_url.startswith("https://"):
        remedy = "set an https:// address that reaches this machine (RFC 8058)"
        yield Check("wrong", "sending", "public_base_url is not HTTPS", remedy)
    with ses_endpoint(workspace) as endpoint:
        ses, sqs = make_clients(workspace, endpoint)
        sender = SesSender(
            ses,
            from_address=sending.sender,
            reply_to=None,
            configuration_set=sending.configuration_set,
        )
        yield _account(sender)
        yield _published(sender, configuration_set=sending.configuration_set)
        yield _queue(sqs, sending.queue_url)


def _account(sender: SesSender) -> Check:
    try:
        quota = sender.quota()
    except SendError as error:
        remedy = "check endpoint_url, region, credentials and the network"
        return Check("wrong", "sending", f"SES does not answer: {error}", remedy)
    rate, left = quota.max_per_second, quota.left_today
    return Check("ok", "sending", f"SES allows {rate:g} a second, {left:,} more today")


def _published(sender: SesSender, *, configuration_set: str) -> Check:
    try:
        missing = sender.unpublished()
    except CampaignHaltedError:
        remedy = f"create it in SES: {configuration_set}"
        return Check("wrong", "events", "the configuration set is missing", remedy)
    except SendError as error:
        remedy = "allow ses:GetConfigurationSetEventDestinations"
        return Check("note", "events", f"SES does not tell of them: {error}", remedy)
    if missing:
        finding = f"published nowhere: {', '.join(missing)}"
        remedy = f"let {configuration_set} publish them to an SNS topic"
        return Check("wrong", "events", finding, remedy)
    return Check("ok", "events", f"{configuration_set} publishes all that are needed")


def _queue(sqs: Any, configured: str | None) -> Check:  # noqa: ANN401 — boto3's client
    try:
        queue = EventQueue(sqs, queue_url=queue_url(sqs, configured))
        waiting = queue.waiting()
    except WinbackError as error:
        remedy = "check queue_url and its permissions: docs/how-to/send-for-real.md"
        return Check("wrong", "queue", str(error), remedy)
    return Check("ok", "queue", f"{waiting:,} events wait")
