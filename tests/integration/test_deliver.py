"""Delivery: each mail once, each refusal with its reason, on both databases."""

from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import count

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from campaigns.domain.values import Recipient, Return, SendingQuota
from campaigns.domain.words import (
    CampaignState,
    EventKind,
    ReturnKind,
    SuppressionReason,
)
from campaigns.errors import (
    CampaignHaltedError,
    NotFoundError,
    OutcomeUnknownError,
    RejectedError,
    RetryLaterError,
    SendingHaltedError,
    ThrottledError,
)
from campaigns.mail import ses_bulk
from campaigns.mail.templates import Templates
from campaigns.steps.deliver import deliver, finish
from campaigns.steps.restart import sweep
from campaigns.store import (
    campaigns,
    episodes,
    events,
    messages,
    records,
    rollout,
    suppressions,
)
from tests.factories import (
    NOON,
    ROOT,
    add_account,
    address_hash,
    campaign,
    churn,
    desk,
    enrolled,
    gate_facts,
    guard,
    launch,
    provider_event,
    states,
    words,
)
from tests.fakes import MarkInMemory


def test_a_due_message_goes_out_once(sender, ses, sessions):
    enrolled(sessions)

    assert deliver(sender).endings == {"accepted": 1}
    assert deliver(sender).endings == {}
    (mail,) = ses.taken
    assert mail.to == "p1@acc-1.example.com"
    assert mail.tags["wb_message"] == "1"


def test_every_mail_can_be_unsubscribed_from_with_one_click(sender, ses, sessions):
    enrolled(sessions)
    deliver(sender)

    headers = ses.taken[0].headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = headers["List-Unsubscribe"]
    assert url.startswith("<https://mail.tidemark.example/u/")
    assert url.strip("<>") in ses.taken[0].html
    assert url.strip("<>") in ses.taken[0].text
    assert "acc-1" not in url


def test_a_held_out_account_is_a_row_and_gets_no_mail(sender, ses, sessions):
    enrolled(sessions, [f"acc-{n}" for n in range(10)], holdout_share=0.3)
    deliver(sender)

    assert len(ses.taken) == 7
    with sessions.begin() as session:
        status = campaigns.status(session, "spring")
    assert status.enrolled == {"holdout": 3, "treated": 7}


def test_a_message_in_doubt_is_never_sent_again_by_itself(sender, ses, sessions, clock):
    enrolled(sessions)
    ses.fail_next(OutcomeUnknownError("read timed out"))
    deliver(sender)

    clock.advance(days=2)
    deliver(sender)
    sweep(sessions, worker="another", now=clock())
    deliver(sender)

    assert words(sessions) == ["unknown"]
    assert ses.posts == 1


def test_a_throttled_message_waits_and_goes_out_once(sender, ses, sessions, clock):
    enrolled(sessions)
    ses.fail_next(ThrottledError("slow down"))
    deliver(sender)
    assert words(sessions) == ["planned"]

    clock.advance(seconds=4)
    assert deliver(sender).endings == {}
    clock.advance(seconds=1)
    assert deliver(sender).endings == {"accepted": 1}


def test_a_refused_mail_stops_nobody_else(sender, ses, sessions):
    enrolled(sessions, ["acc-1", "acc-2"])
    ses.fail_next(RejectedError("MessageRejected"))

    assert deliver(sender).endings == {"refused": 1, "accepted": 1}
    assert states(sessions)[0] == ("refused", "RejectedError: MessageRejected")


def test_a_halt_leaves_the_rest_planned_and_says_why(sender, ses, sessions):
    enrolled(sessions, [f"acc-{n}" for n in range(9)])
    ses.fail_next(SendingHaltedError("SendingPausedException"))

    result = deliver(sender)

    assert "SendingPausedException" in result.halted
    # Nobody after it: not even the others of the group whose attempts are committed.
    assert Counter(words(sessions)) == {"planned": 9}
    assert ses.posts == 1


def test_a_mail_that_no_sender_takes_up_in_time_is_looked_at_anew(
    sender, ses, sessions, clock
):
    enrolled(sessions, ["acc-1", "acc-2"])
    waits = [0, 2]

    def start(act):
        if waits and waits.pop(0):
            # Meanwhile its recipient says no.
            clock.advance(seconds=2)
            with sessions.begin() as session:
                address, manual = "p1@acc-2.example.com", SuppressionReason.MANUAL
                hash_ = address_hash(address)
                suppressions.suppress(session, hash_, manual, now=clock())
        act()

    sender.start = start
    deliver(sender)

    with sessions.begin() as session:
        counted = session.scalars(text("SELECT posted FROM campaigns")).all()
    assert counted == [1], "what was not posted does not count"
    assert words(sessions) == ["accepted", "skipped"]
    assert ses.posts == 1
    with sessions.begin() as session:
        told = session.scalars(text("SELECT detail FROM attempts WHERE message = 2"))
        assert told.all() == ["no sender was free in time"]


def test_a_template_that_names_what_is_not_there_refuses_that_message_only(
    sender, ses, sessions, tmp_path
):
    folder = tmp_path / "general"
    folder.mkdir()
    (folder / "subject.txt").write_text("Hello")
    (folder / "body.mjml").write_text(
        "<mjml><mj-body><mj-section><mj-column><mj-text>x{% if account.name == "
        "'Company acc-1' %}{{ contact.frist_name }}{% endif %}</mj-text></mj-column>"
        "</mj-section></mj-body></mjml>"
    )
    templates = Templates([tmp_path, ROOT / "templates" / "email"])
    sender.composer = sender.composer._replace(render=templates.render)
    enrolled(sessions, ["acc-1", "acc-2"])

    assert deliver(sender).endings == {"refused": 1, "accepted": 1}
    assert states(sessions)[0][0] == "refused"
    assert "frist_name" in states(sessions)[0][1]


def test_a_broken_template_pauses_its_campaign_and_costs_ten_mails(
    sender, ses, sessions, tmp_path
):
    enrolled(sessions, [f"acc-{n}" for n in range(30)], campaign("broken"))
    enrolled(sessions, ["other"], campaign("whole"))
    folder = tmp_path / "general"
    folder.mkdir()
    (folder / "subject.txt").write_text("Hello")
    mail = (
        "<mjml><mj-body><mj-section><mj-column><mj-text>{}</mj-text></mj-column>"
        "</mj-section></mj-body></mjml>"
    )
    broken = (
        "{% if account.name != 'Company other' %}{{ contact.frist_name }}{% endif %}"
    )
    (folder / "body.mjml").write_text(mail.format(broken))
    render = Templates([tmp_path, ROOT / "templates" / "email"]).render
    sender.composer = sender.composer._replace(render=render)

    deliver(sender)

    assert Counter(words(sessions)) == {"refused": 10, "planned": 20, "accepted": 1}
    with sessions.begin() as session:
        status = campaigns.status(session, "broken")
    assert status.state is CampaignState.PAUSED
    assert status.paused_because.startswith("10 mails in a row could not be made")
    assert "frist_name" in status.paused_because
    ((why, count),) = status.unmade.items()
    assert "frist_name" in why
    assert count == 10
    # Once it is mended, the others go.
    (folder / "body.mjml").write_text(mail.format("Hello"))
    render = Templates([tmp_path, ROOT / "templates" / "email"]).render
    sender.composer = sender.composer._replace(render=render)
    with sessions.begin() as session:
        campaigns.resume(session, "broken", now=NOON)
    deliver(sender)
    assert Counter(words(sessions)) == {"refused": 10, "accepted": 21}


def test_a_suppressed_address_is_skipped_with_the_reason(sender, ses, sessions):
    enrolled(sessions)
    with sessions.begin() as session:
        address = address_hash("p1@acc-1.example.com")
        suppressions.suppress(session, address, SuppressionReason.MANUAL, now=NOON)

    assert deliver(sender).endings == {"skipped": 1}
    assert states(sessions) == [("skipped", "suppressed")]
    assert ses.posts == 0


def test_a_no_between_claim_and_posting_is_still_heard(sender, ses, sessions):
    """The first mail's POST suppresses the second's address: it is never posted."""
    enrolled(sessions, ["acc-1", "acc-2"])
    sender.senders = 1

    def suppress_the_other():
        with sessions.begin() as session:
            address = address_hash("p1@acc-2.example.com")
            suppressions.suppress(session, address, SuppressionReason.MANUAL, now=NOON)

    ses.before_next(suppress_the_other)
    deliver(sender)

    assert states(sessions)[1] == ("skipped", "suppressed")
    assert ses.posts == 1


def test_a_pause_stops_what_is_not_posted_yet(sender, ses, sessions, clock):
    enrolled(sessions, ["acc-1", "acc-2"])
    sender.senders = 1

    def pause():
        with sessions.begin() as session:
            campaigns.pause(session, "spring", now=clock())

    ses.before_next(pause)
    deliver(sender)
    clock.advance(hours=1)
    deliver(sender)
    assert words(sessions) == ["accepted", "planned"]

    with sessions.begin() as session:
        campaigns.resume(session, "spring", now=clock())
    deliver(sender)
    assert words(sessions) == ["accepted", "accepted"]


def test_a_campaign_that_ses_refuses_is_paused_with_the_reason(
    sender, ses, sessions, clock
):
    enrolled(sessions, ["acc-1", "acc-2", "acc-3"])
    sender.senders = 1
    ses.fail_next(CampaignHaltedError("NotFoundException: no such set"))

    deliver(sender)

    assert words(sessions) == ["planned"] * 3
    assert ses.posts == 1
    with sessions.begin() as session:
        status = campaigns.status(session, "spring")
        assert status.state is CampaignState.PAUSED
        assert (
            status.paused_because
            == "CampaignHaltedError: NotFoundException: no such set"
        )
    clock.advance(hours=1)
    assert deliver(sender).endings == {}

    with sessions.begin() as session:
        campaigns.resume(session, "spring", now=clock())
        assert campaigns.status(session, "spring").paused_because is None
    assert deliver(sender).endings == {"accepted": 3}


def test_who_came_back_gets_no_second_mail(sender, ses, sessions, clock):
    enrolled(sessions, definition=campaign(steps=2))
    deliver(sender)
    clock.advance(days=2)
    with sessions.begin() as session:
        (episode,) = episodes.open_episodes(session)
        back = Return("acc-1", clock(), ReturnKind.USED)
        episodes.record_returns(session, [(episode, back)])
    clock.advance(days=4)
    deliver(sender)

    assert states(sessions)[1] == ("skipped", "already_back")


def test_the_second_step_waits_for_the_first_to_be_accepted(
    sender, ses, sessions, clock
):
    enrolled(sessions, definition=campaign(steps=2))
    ses.fail_next(OutcomeUnknownError("cut off"))
    deliver(sender)
    clock.advance(days=6)
    deliver(sender)
    assert words(sessions) == ["unknown", "planned"]

    clock.advance(days=30)
    deliver(sender)
    assert states(sessions)[1] == ("skipped", "window_closed")


def test_the_daily_quota_is_respected_and_the_rest_goes_the_next_day(
    sender, ses, sessions, clock
):
    enrolled(sessions, [f"acc-{n}" for n in range(5)])
    ses.allowed = SendingQuota(100, 3, 0)
    deliver(sender)
    assert ses.posts == 3

    ses.allowed = SendingQuota(100, 3, 3)
    clock.advance(hours=1)
    deliver(sender)
    assert ses.posts == 3
    ses.allowed = SendingQuota(100, 3, 0)
    clock.advance(hours=23)
    deliver(sender)
    assert ses.posts == 5


def test_a_second_contact_with_the_same_address_is_no_second_mail(
    sender, ses, sessions
):
    with sessions.begin() as session:
        add_account(session, "acc-1", email="same@example.com", contacts=2)
        add_account(session, "acc-2", email="Same@Example.com")
        churn(session, "acc-1", "acc-2")
    launch(sessions)
    deliver(sender)

    assert [mail.to for mail in ses.taken] == ["same@example.com"]
    with sessions.begin() as session:
        assert campaigns.latest_refusals(session, "spring") == {"address_taken": 1}


def test_who_asked_for_a_rest_gets_no_mail_before_it_is_over(
    sender, ses, sessions, clock
):
    enrolled(sessions, ["acc-1", "acc-2"], campaign(steps=2))
    deliver(sender)
    with sessions.begin() as session:
        to, until = Recipient(1), clock() + timedelta(days=9)
        suppressions.snooze_recipient(session, to, until=until)
        with pytest.raises(NotFoundError):
            suppressions.snooze_recipient(session, Recipient(99), until=clock())
    clock.advance(days=5)
    deliver(sender)
    assert [mail.to for mail in ses.taken[2:]] == ["p1@acc-2.example.com"]
    with sessions.begin() as session:
        (contact,) = records.contacts_of(session, ["acc-1"], now=clock())["acc-1"]
        assert contact.is_suppressed
        assert suppressions.count_snoozed(session, now=clock()) == 1

    clock.advance(days=4)
    deliver(sender)
    assert ses.taken[-1].to == "p1@acc-1.example.com"
    with sessions.begin() as session:
        (contact,) = records.contacts_of(session, ["acc-1"], now=clock())["acc-1"]
        assert not contact.is_suppressed


def test_a_rest_that_outlasts_the_window_ends_the_sequence(
    sender, ses, sessions, clock
):
    enrolled(sessions, definition=campaign(steps=2))
    deliver(sender)
    with sessions.begin() as session:
        to, until = Recipient(1), clock() + timedelta(days=91)
        suppressions.snooze_recipient(session, to, until=until)
    for _ in range(7):
        clock.advance(days=5)
        deliver(sender)

    assert states(sessions)[1] == ("skipped", "window_closed")
    assert len(ses.taken) == 1


def test_endings_add_up_to_the_plan_when_a_campaign_is_finished(
    sender, ses, sessions, clock
):
    enrolled(sessions, [f"acc-{n}" for n in range(6)], campaign(steps=2))
    ses.fail_next(RejectedError("no"))
    for _ in range(8):
        deliver(sender)
        clock.advance(days=1)

    with sessions.begin() as session:
        assert campaigns.finish_done(session) == ["spring"]
        status = campaigns.status(session, "spring")
    assert sum(status.messages.values()) == 12
    assert status.messages == {"accepted": 10, "refused": 1, "skipped": 1}
    assert status.skipped == {"earlier_step_not_sent": 1}


def test_a_template_that_is_no_text_refuses_its_mails_and_stops_nobody(
    sender, ses, sessions, tmp_path
):
    folder = tmp_path / "general"
    folder.mkdir()
    for name in ("subject.txt", "body.mjml"):
        (folder / name).write_bytes("Grüße".encode("latin-1"))
    templates = Templates([tmp_path, ROOT / "templates" / "email"])
    sender.composer = sender.composer._replace(render=templates.render)
    enrolled(sessions)

    assert deliver(sender).endings == {"refused": 1}
    assert "UTF-8" in states(sessions)[0][1]


def test_a_claim_whose_lease_ran_out_is_planned_again(sender, sessions, clock):
    enrolled(sessions)
    with sessions.begin() as session:
        until = NOON + timedelta(minutes=10)
        messages.claim(session, [gate_facts()], worker="gone", until=until)
    assert deliver(sender).endings == {}

    clock.advance(minutes=10)
    assert deliver(sender).endings == {"accepted": 1}


def test_an_error_nobody_thought_of_leaves_a_doubt_and_no_second_post(
    sender, ses, sessions
):
    enrolled(sessions)
    ses.fail_next(RuntimeError("out of the blue"))
    deliver(sender)
    deliver(sender)

    assert words(sessions) == ["unknown"]
    assert ses.posts == 1


def test_the_daily_cap_holds_for_senders_side_by_side(sender, ses, sessions):
    capped = campaign(caps={"mails_per_day": 3})
    enrolled(sessions, [f"acc-{n}" for n in range(8)], capped)
    deliver(sender)
    deliver(sender)

    assert ses.posts == 3


def test_an_unlimited_quota_is_no_limit():
    assert SendingQuota(14, -1, 500_000).left_today > 1_000_000


def test_a_campaign_grows_as_it_becomes_known_what_became_of_its_mails(
    sender, ses, sessions, clock
):
    enrolled(sessions, [f"acc-{n}" for n in range(20)], campaign(caps=FEW))
    assert deliver(sender).endings == {"accepted": 3}
    assert deliver(sender).endings == {}
    with sessions.begin() as session:
        assert campaigns.status(session, "spring").may_post == 3
        events.apply(session, [_known(2)], now=clock())
        rollout.roll_out(session, now=clock())
    assert deliver(sender).endings == {"accepted": 1}

    # A day later the events that never came are taken for lost.
    clock.advance(days=1)
    with sessions.begin() as session:
        rollout.roll_out(session, now=clock())
    assert deliver(sender).endings == {"accepted": 3}


FEW = {"first_mails": 3}


def _known(message):
    event = provider_event(EventKind.DELIVERY, message)
    return events.KnownEvent(event, message, Recipient(message))


def test_what_ses_did_not_take_is_not_counted_as_out(sender, ses, sessions, clock):
    enrolled(sessions, [f"acc-{n}" for n in range(5)], campaign(caps=FEW))
    for error in (ThrottledError("slow"), RejectedError("no"), RetryLaterError("cut")):
        ses.fail_next(error)
    deliver(sender)
    clock.advance(minutes=1)
    deliver(sender)

    assert Counter(words(sessions)) == {"refused": 1, "accepted": 3, "planned": 1}


def test_ten_mails_refused_in_a_row_pause_their_campaign(sender, ses, sessions):
    enrolled(sessions, [f"acc-{n}" for n in range(14)])
    sender.senders = 1
    for _ in range(14):
        ses.fail_next(RejectedError("MessageRejected"))
    deliver(sender)

    assert ses.posts == 10
    with sessions.begin() as session:
        status = campaigns.status(session, "spring")
    assert status.state is CampaignState.PAUSED
    assert status.paused_because.startswith("SES refused 10 mails in a row; the last: ")


def test_a_large_campaign_keeps_no_other_waiting(sender, ses, sessions):
    enrolled(sessions, [f"acc-{n}" for n in range(30)], campaign("large"))
    enrolled(sessions, [f"few-{n}" for n in range(3)], campaign("small"))
    ses.allowed = SendingQuota(10, 50_000, 0)
    deliver(sender)

    first = Counter(mail.tags["wb_campaign"] for mail in ses.taken)
    assert first["small"] == 3
    assert first.total() == 10


def test_two_workers_keep_one_rate(sender, ses, sessions, clock):
    enrolled(sessions, [f"acc-{n}" for n in range(30)])
    ses.allowed = SendingQuota(10, 50_000, 0)
    other = desk(sessions, ses, clock, worker="worker-2")
    deliver(sender)
    again_at = deliver(other).again_at

    assert ses.posts == 10
    assert again_at == clock() + timedelta(seconds=1.02)
    clock.advance(seconds=1.02)
    deliver(other)
    assert ses.posts == 20


def test_what_waits_for_the_rate_is_given_back_though_nothing_else_may_go(
    sender, ses, sessions, clock
):
    """While a mail waits, all that is looked at behind it is never to go."""
    enrolled(sessions, [f"acc-{n}" for n in range(9)])
    with sessions.begin() as session:
        for number in (0, 6, 7, 8):
            hash_ = address_hash(f"p1@acc-{number}.example.com")
            suppressions.suppress(session, hash_, SuppressionReason.MANUAL, now=NOON)
    ses.allowed = SendingQuota(5, 50_000, 0)
    looks, posts, send = count(1), count(1), sender.send

    def clock_of_few_looks():
        assert next(looks) < 1_000, "it never stops looking"
        return clock()

    def throttled(emails):
        if next(posts) in {3, 4}:
            raise ThrottledError("slow")
        return send(emails)

    sender.clock, sender.send, sender.senders = clock_of_few_looks, throttled, 1
    delivered = deliver(sender)

    assert delivered.endings["accepted"] == 2
    assert delivered.again_at > clock()
    sender.clock = clock
    clock.advance(hours=1)
    assert deliver(sender).endings["accepted"] == 3
    assert Counter(words(sessions)) == {"accepted": 5, "skipped": 4}


def test_many_answers_in_a_row_that_say_nothing_halt_all_for_minutes(
    sender, ses, sessions, clock
):
    """An hour in which SES answers 500 must not leave thousands of mails in doubt."""
    enrolled(sessions, [f"acc-{n}" for n in range(30)])
    sender.senders = 1
    for _ in range(21):
        ses.fail_next(OutcomeUnknownError("InternalFailure (HTTP 500)"))

    halted = deliver(sender).halted

    assert halted.startswith("20 answers in a row left mails in doubt")
    assert "HTTP 500" in halted
    assert Counter(words(sessions)) == {"unknown": 20, "planned": 10}
    # One more tells that it is not over.
    clock.advance(minutes=5)
    assert "left mails in doubt" in deliver(sender).halted
    assert ses.posts == 21
    clock.advance(minutes=5)
    assert deliver(sender).endings == {"accepted": 9}


def test_no_connection_halts_all_workers_for_half_a_minute(
    sender, ses, sessions, clock
):
    enrolled(sessions, ["acc-1", "acc-2"])
    sender.senders = 1
    ses.fail_next(RetryLaterError("EndpointConnectionError"))
    halted = deliver(sender).halted
    assert "EndpointConnectionError" in halted
    assert deliver(desk(sessions, ses, clock, worker="worker-2")).halted == halted
    assert ses.posts == 1

    clock.advance(seconds=30)
    assert deliver(sender).endings == {"accepted": 2}


def test_a_commit_whose_answer_was_lost_posts_nothing_twice(sender, ses, sessions):
    """The attempt was committed, and the sender does not know it."""
    enrolled(sessions)
    failing = FailsOnceAfterCommit(sessions)
    sender.sessions = failing

    assert deliver(sender).endings["accepted"] == 1
    assert failing.failed
    assert ses.posts == 1
    assert words(sessions) == ["accepted"]


class FailsOnceAfterCommit:
    """Sessions of which one commit's answer is lost."""

    def __init__(self, sessions, after="SELECT count(*) FROM attempts"):
        self._sessions, self._after, self.failed = sessions, after, False

    @contextmanager
    def begin(self):
        with self._sessions.begin() as session:
            yield session
            began = session.scalar(text(self._after))
        if began and not self.failed:
            self.failed = True
            raise OperationalError("commit", {}, Exception("the connection is gone"))


def test_a_stall_past_the_lease_posts_nothing_twice(sender, ses, sessions, clock):
    """Our claims are planned again; we claim them anew, beside the old ones."""
    enrolled(sessions, [f"acc-{n}" for n in range(12)])
    requests = []

    def start(act):
        # The first request is under way for long, so that mails wait beside it.
        requests.append(act)
        if len(requests) == 6:
            clock.advance(minutes=11)
            with sessions.begin() as session:
                messages.expire_leases(session, now=clock())
        if len(requests) > 1:
            act()
        if len(requests) == 10:
            requests[0]()

    sender.start = start
    deliver(sender)

    assert ses.posts == len({mail.to for mail in ses.taken}) == 12


def test_a_lost_commit_stops_no_rollout(sender, ses, sessions):
    enrolled(sessions, [f"acc-{n}" for n in range(8)], campaign(caps=FEW))
    sender.sessions = FailsOnceAfterCommit(sessions)
    deliver(sender)
    deliver(sender)

    assert ses.posts == 3


def test_an_answer_that_is_recorded_twice_counts_once(sender, ses, sessions):
    enrolled(sessions, [f"acc-{n}" for n in range(8)], campaign(caps=FEW))
    sender.senders = 3
    ses.fail_next(RejectedError("no"))
    failing = FailsOnceAfterCommit(
        sessions, after="SELECT count(*) FROM messages WHERE state = 'refused'"
    )
    sender.sessions = failing
    deliver(sender)
    deliver(sender)

    assert failing.failed
    assert Counter(words(sessions)) == {"refused": 1, "accepted": 3, "planned": 4}


class FullDisk(MarkInMemory):
    def _write(self, mark):
        if self._mark is not None:
            raise OSError("no space left on device")
        super()._write(mark)


def test_where_the_mark_cannot_be_kept_nothing_is_posted_and_nothing_in_doubt(
    sessions, ses, clock
):
    enrolled(sessions, ["acc-1", "acc-2", "acc-3"])
    disk = FullDisk()
    sender = desk(sessions, ses, clock, guard=guard(sessions, disk), senders=2)
    halted = deliver(sender).halted

    assert "the mark of what was sent cannot be kept" in halted
    assert (set(words(sessions)), ses.posts) == ({"planned"}, 0)
    # Nor is it tried each second.
    assert deliver(sender).endings == {}
    disk._write = partial(MarkInMemory._write, disk)
    clock.advance(minutes=1)
    deliver(sender)
    assert words(sessions) == ["accepted"] * 3


def test_a_refused_request_of_many_mails_refuses_only_the_one(sender, ses, sessions):
    enrolled(sessions, [f"acc-{n}" for n in range(4)])
    sender.per_request = 50

    def send(emails):
        if any(mail.to == "p1@acc-2.example.com" for mail in emails):
            raise RejectedError("BadRequestException")
        return [ses.send(mail) for mail in emails]

    sender.send = send
    for _ in range(3):
        deliver(sender)

    assert Counter(words(sessions)) == {"accepted": 3, "refused": 1}


def test_a_request_of_many_whose_answer_is_lost_leaves_all_of_it_in_doubt(
    sender, ses, sessions
):
    enrolled(sessions, [f"acc-{n}" for n in range(4)])
    sender.per_request = 50
    posts = []

    def send(emails):
        posts.append(len(emails))
        raise OutcomeUnknownError("read timed out")

    sender.send = send
    for _ in range(3):
        deliver(sender)

    assert posts == [4]
    assert words(sessions) == ["unknown"] * 4


def test_each_mail_of_a_request_ends_as_its_own_entry_says(sender, ses, sessions):
    enrolled(sessions, [f"acc-{n}" for n in range(5)])
    sender.per_request = 50
    entries = [
        {"Status": "SUCCESS", "MessageId": "m-1"},
        {"Status": "MESSAGE_REJECTED"},
        {"Status": "TRANSIENT_FAILURE"},
        {"Status": "SUCCESS"},
        {"Status": "ACCOUNT_THROTTLED"},
    ]
    sender.send = lambda emails: ses_bulk.outcomes_of(
        {"BulkEmailEntryResults": entries[: len(emails)]}, count=len(emails)
    )
    deliver(sender)

    # What is not listed, and a success without an id, leaves a doubt.
    found = Counter(words(sessions))
    assert found == {"accepted": 1, "refused": 1, "unknown": 2, "planned": 1}


@pytest.mark.parametrize("response", [{}, {"BulkEmailEntryResults": [{}]}])
def test_an_answer_that_does_not_speak_of_each_mail_is_none(response):
    with pytest.raises(OutcomeUnknownError, match="of 2 mails"):
        ses_bulk.outcomes_of(response, count=2)


def test_mails_that_ses_did_not_take_cost_no_daily_cap(sender, ses, sessions, clock):
    capped = campaign(caps={"mails_per_day": 3})
    enrolled(sessions, [f"acc-{n}" for n in range(8)], capped)
    for _ in range(3):
        ses.fail_next(RetryLaterError("EndpointConnectionError"))
        deliver(sender)
        clock.advance(minutes=1)
    assert ses.posts == 3, "after the first nothing more is tried"
    deliver(sender)
    assert Counter(words(sessions))["accepted"] == 3


def test_a_campaign_that_must_wait_ends_what_it_waits_too_long_with(
    sender, ses, sessions, clock
):
    enrolled(sessions, [f"acc-{n}" for n in range(5)], campaign(caps=FEW))
    for _ in range(3):
        ses.fail_next(OutcomeUnknownError("cut off"))
    deliver(sender)
    clock.advance(days=31)
    finish(sender)

    assert Counter(words(sessions)) == {"unknown": 3, "skipped": 2}
