"""`winback ses-local` for clients that know nothing of us: plain boto3."""

import email
import email.policy
import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from email.message import EmailMessage

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests.conftest import ROOT

FROM = "Ada <ada@shop.example>"


@pytest.fixture
def serve(winback, tmp_path):
    """Start the tool; returns its folder, its address and a client for SES or SQS."""
    running = []

    def serve(*options):
        folder = tmp_path / "mails"
        process = subprocess.Popen(
            [winback, "ses-local", "--port", "0", "--folder", str(folder), *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        url = process.stdout.readline().strip().removeprefix("local SES listens on ")
        return folder, url, lambda name="sesv2", **config: client(url, name, **config)

    yield serve
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stdout.close()


def client(url, name, **config):
    return boto3.client(
        name,
        region_name="eu-west-1",
        endpoint_url=url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(**config),
    )


def simple(to="bob@example.com", **more):
    body = {"Text": {"Data": "Hello"}, "Html": {"Data": "<p>Hello</p>"}}
    return {
        "FromEmailAddress": FROM,
        "Destination": {"ToAddresses": [to]},
        "Content": {"Simple": {"Subject": {"Data": "Grüße"}, "Body": body}},
        "ConfigurationSetName": "winback",
        **more,
    }


def mails(folder):
    return [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in sorted(folder.glob("*.eml"))
    ]


def events(make):
    sqs = make("sqs")
    url = sqs.get_queue_url(QueueName="winback-events")["QueueUrl"]
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(json.loads(each["Body"])["Message"]) for each in got]


def refused(call, **request):
    with pytest.raises(ClientError) as caught:
        call(**request)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def ask(url, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}{path}", data=data)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def test_a_simple_mail_with_attachment_copies_and_tags(serve):
    folder, _, make = serve()
    request = simple(
        EmailTags=[{"Name": "shop", "Value": "7"}],
        ReplyToAddresses=["team@shop.example"],
    )
    request["Destination"] |= {
        "CcAddresses": ["carl@example.com"],
        "BccAddresses": ["dora@example.com"],
    }
    request["Content"]["Simple"] |= {
        "Headers": [{"Name": "X-Shop", "Value": "yes"}],
        "Attachments": [
            {"FileName": "a.txt", "RawContent": b"abc", "ContentType": "text/plain"}
        ],
    }

    message_id = make().send_email(**request)["MessageId"]

    (kept,) = mails(folder)
    assert (kept["Subject"], kept["Cc"], kept["Bcc"]) == (
        "Grüße",
        "carl@example.com",
        None,
    )
    assert (kept["X-Shop"], kept["Reply-To"]) == ("yes", "team@shop.example")
    assert message_id in kept["Message-ID"]
    assert [part.get_filename() for part in kept.iter_attachments()] == ["a.txt"]
    (sent,) = [each for each in events(make) if each["eventType"] == "Send"]
    assert sent["mail"]["destination"] == [
        "bob@example.com",
        "carl@example.com",
        "dora@example.com",
    ]
    assert sent["mail"]["tags"]["shop"] == ["7"]


def test_a_raw_mail_is_taken_as_it_is_but_for_what_ses_replaces(serve):
    folder, _, make = serve()
    message = EmailMessage()
    message["From"], message["To"] = FROM, "bob@example.com"
    message["Bcc"], message["Subject"] = "eve@example.com", "Raw"
    message["Message-ID"] = "<mine@shop.example>"
    message["X-SES-MESSAGE-TAGS"] = "shop=7, kind=raw"
    message["X-SES-CONFIGURATION-SET"] = "winback"
    message.set_content("Hello\n")

    message_id = make().send_email(Content={"Raw": {"Data": bytes(message)}})[
        "MessageId"
    ]

    (kept,) = mails(folder)
    assert message_id in kept["Message-ID"]
    assert not {"Bcc", "X-SES-MESSAGE-TAGS"} & set(kept.keys())
    assert kept.get_content().split() == ["Hello"]
    (sent,) = [each for each in events(make) if each["eventType"] == "Send"]
    assert sent["mail"]["tags"]["kind"] == ["raw"]
    assert sent["mail"]["destination"] == ["bob@example.com", "eve@example.com"]


TEMPLATE = {
    "Subject": "Hello {{name}}",
    "Html": "<p>{{name}} of {{company.name}} {{{raw}}}</p>",
    "Text": "{{name}}",
}


def test_a_template_is_stored_rendered_and_sent(serve):
    folder, _, make = serve()
    ses = make()
    ses.create_email_template(TemplateName="hello", TemplateContent=TEMPLATE)
    data = json.dumps({"name": "B&B", "company": {"name": "C"}, "raw": "<b>!</b>"})
    request = simple(
        Content={"Template": {"TemplateName": "hello", "TemplateData": data}}
    )

    ses.send_email(**request)

    (kept,) = mails(folder)
    assert kept["Subject"] == "Hello B&B"
    html = kept.get_body(("html",)).get_content()
    assert html.strip() == "<p>B&amp;B of C <b>!</b></p>"
    assert kept.get_body(("plain",)).get_content().strip() == "B&B"
    assert ses.get_email_template(TemplateName="hello")["TemplateContent"] == TEMPLATE
    listed = ses.list_email_templates()["TemplatesMetadata"]
    assert [each["TemplateName"] for each in listed] == ["hello"]
    rendered = ses.test_render_email_template(TemplateName="hello", TemplateData=data)
    assert "<p>B&amp;B of C" in rendered["RenderedTemplate"]
    again = {"TemplateName": "hello", "TemplateContent": TEMPLATE}
    assert refused(ses.create_email_template, **again) == (
        "AlreadyExistsException",
        400,
    )
    ses.update_email_template(**again)
    ses.delete_email_template(TemplateName="hello")
    assert refused(ses.send_email, **request) == ("NotFoundException", 404)


def test_a_value_that_is_missing_is_a_rendering_failure(serve):
    _, _, make = serve()
    ses = make()
    ses.create_email_template(TemplateName="hello", TemplateContent=TEMPLATE)

    lacking = {"TemplateName": "hello", "TemplateData": "{}"}
    ses.send_email(**simple(Content={"Template": lacking}))

    (event,) = events(make)
    assert event["eventType"] == "Rendering Failure"
    assert "'name' is not present" in event["failure"]["errorMessage"]
    assert (
        refused(ses.test_render_email_template, **lacking)[0] == "BadRequestException"
    )


def test_bulk_has_an_answer_for_each_entry(serve):
    folder, _, make = serve()
    ses = make()
    ses.create_email_template(TemplateName="hello", TemplateContent=TEMPLATE)
    default = json.dumps({"name": "you", "company": {"name": "C"}, "raw": ""})
    mine = json.dumps({"name": "Bob", "company": {"name": "C"}, "raw": ""})
    entries = [
        {
            "Destination": {"ToAddresses": ["bob@example.com"]},
            "ReplacementEmailContent": {
                "ReplacementTemplate": {"ReplacementTemplateData": mine}
            },
            "ReplacementTags": [{"Name": "n", "Value": "1"}],
            "ReplacementHeaders": [{"Name": "X-N", "Value": "1"}],
        },
        {"Destination": {"ToAddresses": ["carl@example.com"]}},
        {"Destination": {"ToAddresses": ["nobody"]}},
        {
            "Destination": {"ToAddresses": ["dora@example.com"]},
            "ReplacementEmailContent": {
                "ReplacementTemplate": {"ReplacementTemplateData": "{}"}
            },
        },
    ]

    results = ses.send_bulk_email(
        FromEmailAddress=FROM,
        ConfigurationSetName="winback",
        DefaultEmailTags=[{"Name": "all", "Value": "1"}],
        DefaultContent={"Template": {"TemplateName": "hello", "TemplateData": default}},
        BulkEmailEntries=entries,
    )["BulkEmailEntryResults"]

    assert [each["Status"] for each in results] == [
        "SUCCESS",
        "SUCCESS",
        "INVALID_PARAMETER",
        "SUCCESS",
    ]
    first, second, third = mails(folder)
    assert third["Subject"] == "Hello you"
    assert (first["Subject"], second["Subject"]) == ("Hello Bob", "Hello you")
    assert (first["X-N"], second["X-N"]) == ("1", None)
    assert results[0]["MessageId"] in first["Message-ID"]


def bulk_statuses(ses, *entries, **options):
    template = {"TemplateName": options.pop("template", "plain"), "TemplateData": "{}"}
    found = ses.send_bulk_email(
        **{"FromEmailAddress": FROM, **options},
        DefaultContent={"Template": template},
        BulkEmailEntries=[
            {"Destination": {"ToAddresses": ["bob@example.com"]}},
            *entries,
        ],
    )
    return [each["Status"] for each in found["BulkEmailEntryResults"]]


def test_an_entry_s_refusal_has_the_word_of_the_reference(serve):
    folder, url, make = serve()
    ses = make()
    ses.create_email_template(
        TemplateName="plain", TemplateContent={"Subject": "Hello", "Text": "Hello"}
    )

    unreadable = {"ReplacementTemplateData": "[1]"}
    entry = {
        "Destination": {"ToAddresses": ["carl@example.com"]},
        "ReplacementEmailContent": {"ReplacementTemplate": unreadable},
    }
    # What stands before and after an entry that cannot be read is sent.
    plain = {"Destination": {"ToAddresses": ["dora@example.com"]}}
    assert bulk_statuses(ses, entry, plain) == [
        "SUCCESS",
        "INVALID_PARAMETER",
        "SUCCESS",
    ]
    assert len(mails(folder)) == 2

    ses.create_configuration_set(ConfigurationSetName="still")
    ses.put_configuration_set_sending_options(
        ConfigurationSetName="still", SendingEnabled=False
    )
    ask(url, "/_local/faults", {"max_per_day": 3})
    assert (
        bulk_statuses(ses, plain, ConfigurationSetName="none")
        == ["CONFIGURATION_SET_NOT_FOUND"] * 2
    )
    assert bulk_statuses(ses, ConfigurationSetName="still") == [
        "CONFIGURATION_SET_SENDING_PAUSED"
    ]
    assert bulk_statuses(ses, template="none") == ["TEMPLATE_NOT_FOUND"]
    assert bulk_statuses(ses, plain) == ["SUCCESS", "ACCOUNT_DAILY_QUOTA_EXCEEDED"]
    ses.put_account_sending_attributes(SendingEnabled=False)
    assert bulk_statuses(ses) == ["ACCOUNT_SENDING_PAUSED"]


def test_an_entry_s_headers_come_to_those_of_the_template(serve):
    folder, _, make = serve("--identity", "shop.example")
    ses = make()
    ses.create_email_template(
        TemplateName="plain", TemplateContent={"Subject": "Hello", "Text": "Hello"}
    )
    both = [{"Name": "X-A", "Value": "1"}, {"Name": "X-B", "Value": "1"}]
    entry = {
        "Destination": {"ToAddresses": ["carl@example.com"]},
        "ReplacementHeaders": [{"Name": "x-b", "Value": "2"}],
    }
    content = {"TemplateName": "plain", "TemplateData": "{}", "Headers": both}

    ses.send_bulk_email(
        FromEmailAddress=FROM,
        DefaultContent={"Template": content},
        BulkEmailEntries=[entry],
    )
    (mail,) = mails(folder)
    assert (mail.get_all("X-A"), mail.get_all("X-B")) == (["1"], ["2"])
    assert bulk_statuses(ses, FromEmailAddress="x@other.example") == [
        "MAIL_FROM_DOMAIN_NOT_VERIFIED"
    ]
    entry["ReplacementHeaders"] = [{"Name": "Message-ID", "Value": "<<>"}]
    assert bulk_statuses(ses, entry) == ["SUCCESS", "INVALID_PARAMETER"]


def test_rate_and_quota_count_recipients(serve):
    _, url, make = serve()
    ses = make(retries={"total_max_attempts": 1})
    ask(url, "/_local/faults", {"max_per_day": 3})
    two = {"ToAddresses": ["a@example.com"], "CcAddresses": ["b@example.com"]}

    ses.send_email(**simple(Destination=two))
    assert ses.get_account()["SendQuota"]["SentLast24Hours"] == 2
    # Two more would be four, and the day has three.
    assert refused(ses.send_email, **simple(Destination=two)) == (
        "TooManyRequestsException",
        429,
    )
    ses.send_email(**simple())
    assert refused(ses.send_email, **simple()) == ("TooManyRequestsException", 429)


def test_a_value_is_written_as_handlebars_writes_it(serve):
    folder, _, make = serve()
    content = {"Subject": "{{yes}}|{{no}}|{{none}}|{{n}}|{{half}}", "Text": "x"}
    values = {"yes": True, "no": False, "none": None, "n": 3, "half": 0.5}
    template = {"TemplateContent": content, "TemplateData": json.dumps(values)}

    make().send_email(**simple(Content={"Template": template}))

    assert mails(folder)[0]["Subject"] == "true|false||3|0.5"


def test_identities_sets_and_the_suppression_list_are_checked(serve):
    _, _, make = serve("--identity", "shop.example")
    ses = make()

    ses.send_email(**simple())
    ses.send_email(**simple(FromEmailAddress="Acme Inc. <x@mail.shop.example>"))
    near = simple(FromEmailAddress="x@myshop.example")
    assert refused(ses.send_email, **near) == ("MessageRejected", 400)
    other = simple(FromEmailAddress="x@other.example")
    assert refused(ses.send_email, **other) == ("MessageRejected", 400)
    ses.create_email_identity(EmailIdentity="x@other.example")
    assert ses.get_email_identity(EmailIdentity="x@other.example")[
        "VerifiedForSendingStatus"
    ]
    ses.send_email(**other)
    assert len(ses.list_email_identities()["EmailIdentities"]) == 2
    ses.delete_email_identity(EmailIdentity="x@other.example")
    assert refused(ses.send_email, **other) == ("MessageRejected", 400)

    elsewhere = simple(ConfigurationSetName="other")
    assert refused(ses.send_email, **elsewhere) == ("NotFoundException", 404)
    ses.create_configuration_set(ConfigurationSetName="other")
    ses.send_email(**elsewhere)
    assert ses.list_configuration_sets()["ConfigurationSets"] == ["other", "winback"]
    ses.put_configuration_set_sending_options(
        ConfigurationSetName="other", SendingEnabled=False
    )
    assert refused(ses.send_email, **elsewhere) == ("SendingPausedException", 400)

    odd = "a%2Fb/c@example.com"
    ses.put_suppressed_destination(EmailAddress=odd, Reason="BOUNCE")
    assert ses.get_suppressed_destination(EmailAddress=odd)
    ses.delete_suppressed_destination(EmailAddress=odd)
    ses.put_suppressed_destination(EmailAddress="Eve@example.com", Reason="BOUNCE")
    listed = ses.list_suppressed_destinations()["SuppressedDestinationSummaries"]
    assert [each["EmailAddress"] for each in listed] == ["eve@example.com"]
    assert ses.get_suppressed_destination(EmailAddress="eve@example.com")
    ses.delete_suppressed_destination(EmailAddress="eve@example.com")
    missing = {"EmailAddress": "eve@example.com"}
    assert refused(ses.get_suppressed_destination, **missing) == (
        "NotFoundException",
        404,
    )


def _with_header(name):
    content = simple()["Content"]
    content["Simple"]["Headers"] = [{"Name": name, "Value": "v"}]
    return content


def test_what_is_not_a_mail_is_refused(serve):
    folder, _, make = serve()
    ses = make()
    both = {**simple()["Content"], "Raw": {"Data": b"x"}}
    for bad in (
        simple(FromEmailAddress="nobody"),
        simple(to="nobody"),
        simple(Content=both),
        simple(EmailTags=[{"Name": "a b", "Value": "1"}]),
        simple(Content=_with_header("X-A: b\r\nX-Evil")),
        simple(Content=_with_header("X A")),
        simple(Destination={"ToAddresses": ["a@example.com"] * 51}),
        simple(Content={"Template": {"TemplateContent": {"Html": "{{#if a}}{{/if}}"}}}),
    ):
        assert refused(ses.send_email, **bad) == ("BadRequestException", 400)
    assert mails(folder) == []


def test_faults_come_when_they_are_asked_for(serve):
    folder, url, make = serve()
    once = make(retries={"total_max_attempts": 1}, read_timeout=1)
    kinds = ["throttle", "server_error", "unavailable", "drop", "cut_answer"]
    kinds += ["time_out_after_accept", "error_after_accept"]
    ask(url, "/_local/faults", {"sends": [{"kind": kind} for kind in kinds]})

    assert refused(once.send_email, **simple()) == ("TooManyRequestsException", 429)
    assert refused(once.send_email, **simple()) == ("InternalFailure", 500)
    assert refused(once.send_email, **simple()) == ("ServiceUnavailable", 503)
    with pytest.raises(ConnectionClosedError):
        once.send_email(**simple())
    assert mails(folder) == []
    # boto3 takes half of an answer for one without a message id.
    assert "MessageId" not in once.send_email(**simple())
    assert len(mails(folder)) == 1
    with pytest.raises(ReadTimeoutError):
        once.send_email(**simple())
    assert len(mails(folder)) == 2
    assert refused(once.send_email, **simple()) == ("InternalFailure", 500)
    assert len(mails(folder)) == 3
    once.send_email(**simple())
    assert json.loads(ask(url, "/_local/faults"))["sends"] == []


def test_a_pause_and_a_quota_hold_until_they_are_lifted(serve):
    _, url, make = serve()
    ses = make(retries={"total_max_attempts": 1})
    ask(url, "/_local/faults", {"paused": True})
    assert refused(ses.send_email, **simple()) == ("SendingPausedException", 400)
    assert not ses.get_account()["SendingEnabled"]
    ses.put_account_sending_attributes(SendingEnabled=True)
    ses.send_email(**simple())
    ask(url, "/_local/faults", {"max_per_day": 1})
    assert refused(ses.send_email, **simple()) == ("TooManyRequestsException", 429)
    assert ses.get_account()["SendQuota"]["Max24HourSend"] == 1
    with pytest.raises(urllib.error.HTTPError, match="422"):
        ask(url, "/_local/faults", {"sends": [{"kind": "explode"}]})


def test_events_are_lost_doubled_and_late_on_request(serve):
    _, url, make = serve()
    ses = make()
    ask(url, "/_local/faults", {"events": {"lost": 1}})
    ses.send_email(**simple())
    ask(url, "/_local/faults", {"events": {"duplicated": 1}})
    ses.send_email(**simple())
    ask(url, "/_local/faults", {"events": {"delay_seconds": 3600}})
    ses.send_email(**simple())

    time.sleep(1.2)
    came = [each["eventType"] for each in events(make)]
    assert came == ["Send", "Send"]


def test_the_pages_list_search_and_show_mails(serve):
    _, url, make = serve()
    ses = make()
    evil = simple(to="bob@example.com")
    evil["Content"]["Simple"]["Subject"]["Data"] = "<script>alert(1)</script>"
    ses.send_email(**simple(to="ada@example.com"))
    ses.send_email(**evil)

    listed = ask(url, "/")
    assert "2 mails taken" in listed
    assert "ada@example.com" in listed
    assert "<script>" not in listed
    assert "ada@" not in ask(url, "/?q=bob")
    assert "No mail fits" in ask(url, "/?q=100%25")
    assert "Grüße" in ask(url, "/mails/1")
    assert "Hello" in ask(url, "/mails/1?view=text")
    assert "Message-ID" in ask(url, "/mails/1?view=headers")
    assert "multipart/alternative" in ask(url, "/mails/1?view=source")
    with urllib.request.urlopen(f"{url}/mails/1/html") as answer:
        assert answer.read().strip() == b"<p>Hello</p>"
        assert "sandbox" in answer.headers["content-security-policy"]
    for path in ("/mails/99", "/mails/99/html"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(url, path)


def test_the_form_puts_faults_in_force_and_says_what_is_wrong(serve):
    _, url, _ = serve()

    def post(form, **headers):
        request = urllib.request.Request(f"{url}/faults", data=form, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    assert "the next 3 sends fail" in post(b"kind=throttle&times=3&lost=0.5")
    assert json.loads(ask(url, "/_local/faults"))["events"]["lost"] == 0.5
    assert "less than or equal to 1" in post(b"lost=7")
    assert "sends fail" not in post(b"clear=1")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        post(b"paused=on", **{"Sec-Fetch-Site": "cross-site"})


def test_the_documentation_s_client_and_faults_work_as_they_stand(serve):
    folder, url, _ = serve()
    page = (ROOT / "docs" / "how-to" / "ses-local.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (faults,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)

    exec(program.replace("http://127.0.0.1:8026", url), {})  # noqa: S102 — our own page

    assert mails(folder)[0]["Subject"] == "Hello"
    in_force = json.loads(ask(url, "/_local/faults", json.loads(faults)))
    assert in_force["sends"] == ["throttle"] * 3 + ["time_out_after_accept"]


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v2/email/outbound-emails", b"[1, 2", {}),
        ("/v2/email/outbound-emails", b'{"Content": [1], "Destination": 7}', {}),
        (
            "/v2/email/outbound-bulk-emails",
            b'{"BulkEmailEntries": [3], "DefaultContent": {"Template": {"T": 5}}}',
            {},
        ),
        ("/v2/email/outbound-emails", b"{}", {"x-winback-now": "junk"}),
        ("/", b'{"Entries": 4}', {"x-amz-target": "AmazonSQS.DeleteMessageBatch"}),
        ("/v2/email/nothing", b"{}", {}),
        ("/v2/email/identities", b'{"EmailIdentity": 5}', {}),
    ],
)
def test_a_request_of_another_form_is_refused_and_breaks_nothing(
    serve, path, body, headers
):
    folder, url, make = serve()
    request = urllib.request.Request(f"{url}{path}", data=body, headers=headers)

    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)

    assert 400 <= caught.value.code < 500
    assert caught.value.headers["x-amzn-errortype"]
    make().send_email(**simple())
    assert len(mails(folder)) == 1


def test_a_receipt_that_is_no_number_of_ours_stops_no_later_send(serve):
    _, url, make = serve()
    sqs = make("sqs", retries={"total_max_attempts": 1})
    queue = f"{url}/queue/winback-events"

    with pytest.raises(ClientError):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle="9" * 20)

    make().send_email(**simple())
    make().send_email(**simple())


def test_the_pages_bear_what_the_server_took(serve):
    folder, url, make = serve()
    raw = (
        b"From: a@b.example\nTo: c@d.example\nSubject: x\n"
        b"Content-Type: text/%s; charset=nonsense\n\n<p>caf\xc3\xa9</p>\n"
    )
    for kind in (b"plain", b"html"):
        make().send_email(Content={"Raw": {"Data": raw % kind}})

    assert "café" in ask(url, "/mails/1?view=text")
    assert "café" in ask(url, "/mails/2/html")
    assert "nonsense" in ask(url, "/mails/2?view=source")
    next(folder.glob("*-000001.eml")).unlink()
    for path in ("/mails/1", f"/mails/{'9' * 30}", "/mails/x"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(url, path)
    assert "1 mail" not in ask(url, f"/?before={'9' * 30}")
    assert json.loads(ask(url, f"/_local/mails?after={'9' * 30}"))["mails"]
    with pytest.raises(urllib.error.HTTPError, match="422"):
        ask(url, "/_local/faults", {"max_per_second": 1e400})
    ask(url, "/_local/faults", {"sends": [{"kind": "throttle"}]})
    urllib.request.urlopen(f"{url}/faults", data=b"kind=&times=1").close()
    assert json.loads(ask(url, "/_local/faults"))["sends"] == []


def test_doctor_tells_what_is_missing_at_amazon(serve, walk, tmp_path):
    _, url, _ = serve()
    root = tmp_path / "here"
    walk("init", root)
    file = root / "winback.toml"
    lines = f'[sending]\nendpoint_url = "{url}"\n'
    file.write_text(file.read_text().replace("[sending]\n", lines))

    def seen():
        return " ".join(walk("doctor", workspace=root, fails=1).split())

    well = seen()
    assert "winback publishes all" in well
    assert "0 events wait" in well
    file.write_text(file.read_text().replace('_set = "winback"', '_set = "other"'))
    assert "create it in SES: other" in seen()


def test_a_picture_that_a_mail_brings_along_is_shown_in_its_place(serve):
    from campaigns.domain.values import Email, Picture
    from campaigns.mail.ses import SesSender

    folder, url, make = serve()
    png = b"\x89PNG\r\n\x1a\n-not-quite"
    html = '<p><img src="cid:ALL"><img src="cid:none"></p>'
    to = "bob@example.com"
    sender = SesSender(
        make(), from_address=FROM, reply_to=None, configuration_set="winback"
    )
    sender.send(Email(to, "Report", html, "text", {}, {}, (Picture("ALL", png),)))

    (message,) = mails(folder)
    (picture,) = message.iter_attachments()
    assert (picture["Content-ID"], picture.get_content()) == ("<ALL>", png)
    assert picture.get_content_disposition() == "inline"
    page = ask(url, "/mails/1/html")
    assert '<img src="data:image/png;base64,iVBORw0KGgot' in page
    assert '<img src="cid:none">' in page
