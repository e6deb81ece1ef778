"""Planned mails are made and let go; on both databases."""

from campaigns.steps.preflight import Tried, preflight
from tests.factories import NOON, enrolled, states


def test_a_mail_that_is_only_tried_changes_nothing_and_unsubscribes_nobody(
    sessions, sender
):
    enrolled(sessions, ["acc-1", "acc-2"])
    links = []

    def render(orders):
        links.extend(order.facts["links"]["unsubscribe"] for order in orders)
        return sender.composer.render(orders)

    composer = sender.composer._replace(render=render)
    tried = list(preflight(sessions, composer, "spring", now=NOON))

    assert tried == [
        Tried(1, "acc-1", "general", None),
        Tried(2, "acc-2", "general", None),
    ]
    tokens = [link.rsplit("/", 1)[1] for link in links]
    assert [sender.composer.tokens.read(token) for token in tokens] == [None, None]
    assert states(sessions) == [("planned", None)] * 2
