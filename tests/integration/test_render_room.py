"""Templates are untrusted: a bomb refuses its own mail, and stops nothing else."""

import time
from contextlib import closing

import pytest

from campaigns.errors import RenderError
from campaigns.mail.render_room import RenderRoom
from campaigns.mail.templates import Order, Rendered
from tests.factories import ROOT

BOMBS = {
    "long-text": "{{ 'a' * 100000000 }}",
    "much-memory": "{{ ('a' * 1000000000) | length }}",
    "wide-number": "{{ '%999999999d' % 1 }}",
    "loops": "{% for a in many %}{% for b in many %}{% for c in many %}"
    "{% endfor %}{% endfor %}{% endfor %}",
    "power": "{{ 9 ** (9 ** 9) }}",
    "centered": "{{ 'x'.center(999999999) }}",
    "replaced": "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}",
    "joined": "{{ many | join('a' * 10000000) }}",
}
BODY = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>{}</mj-text></mj-column>"
    "</mj-section></mj-body></mjml>"
)
FACTS = {"many": list(range(2000)), "name": "Ada"}


@pytest.fixture
def folder(tmp_path):
    for name, text in (*BOMBS.items(), ("plain", "Hello {{ name }}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "subject.txt").write_text("Hello")
        (tmp_path / name / "body.mjml").write_text(BODY.format(text))
    return tmp_path


@pytest.fixture
def room(folder):
    with closing(RenderRoom([folder, ROOT / "templates" / "email"])) as opened:
        yield opened


def test_a_mail_is_the_same_as_one_made_in_this_process(room, folder):
    from campaigns.mail.templates import Templates

    orders = [Order("plain", FACTS | {"name": name}) for name in ("Ada", "Zoë", "<b>")]

    assert list(room.render(orders)) == list(Templates([folder]).render(orders))


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_refuses_its_own_mail_only(room, bomb):
    orders = [Order("plain", FACTS), Order(bomb, FACTS), Order("plain", FACTS)]

    before, refused, after = room.render(orders)

    assert isinstance(refused, RenderError)
    assert f"template {bomb}: " in str(refused)
    assert isinstance(before, Rendered)
    assert before == after
    assert before.html.count("Hello Ada") == 1


def test_a_child_that_was_killed_between_mails_is_made_anew(room):
    (first,) = room.render([Order("plain", FACTS)])
    room._child.process.kill()
    time.sleep(0.1)
    (second,) = room.render([Order("plain", FACTS)])

    assert first == second


def test_facts_that_are_not_there_refuse_the_mail(room):
    (refused,) = room.render([Order("plain", {})])

    assert str(refused) == "template plain: 'name' is undefined"
