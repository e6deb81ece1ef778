"""Several texts at a step: each account gets one by lot, and the report compares."""

from collections import Counter

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from campaigns.domain.campaign import Step
from campaigns.rules.allocation import texts_of
from campaigns.steps import report
from campaigns.steps.explain import explained
from campaigns.store.usage import UsageLake
from tests.factories import NOON, campaign, enrolled
from tests.integration.test_lasting import CLOSED, reporting, settled, subscribed

TEXTS = ["{segment}", "general-follow-up"]


def two_texts():
    made = campaign(steps=2)
    first = Step(templates=tuple(TEXTS))
    return made.model_copy(update={"steps": (first, made.steps[1])})


def test_each_account_draws_its_text_once_and_for_ever():
    steps = [Step(templates=("a", "b", "c")), Step(template="d")]
    drawn = [
        texts_of(steps, key=b"k", campaign="spring", account=f"acc-{n}")
        for n in range(3000)
    ]

    assert drawn[7] == texts_of(steps, key=b"k", campaign="spring", account="acc-7")
    counts = Counter(first for first, _ in drawn)
    assert counts.keys() == {"a", "b", "c"}
    assert all(900 < count < 1100 for count in counts.values())
    assert {second for _, second in drawn} == {"d"}
    other = [
        texts_of(steps, key=b"k", campaign="summer", account=f"acc-{n}")
        for n in range(3000)
    ]
    assert 0.28 < sum(a == b for a, b in zip(drawn, other, strict=True)) / 3000 < 0.38


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "either `template` or `templates`"),
        ({"template": "a", "templates": ("a", "b")}, "either `template`"),
        ({"templates": ("a", "a")}, "names one twice"),
        ({"templates": ("a",)}, "two or more"),
    ],
)
def test_a_step_has_one_text_or_several(fields, said):
    with pytest.raises(ValidationError, match=said):
        Step(**fields)


@pytest.fixture
def tried(sessions, tmp_path):
    """A hundred accounts; of those with the general text, most come back."""
    enrolled(sessions, [f"acc-{n:03}" for n in range(100)], two_texts())
    with sessions.begin() as session:
        rows = session.execute(
            text(
                "SELECT e.account, m.step, m.template, m.variant FROM messages m "
                "JOIN enrolments e ON e.id = m.enrolment ORDER BY m.id"
            )
        ).all()
    drawn = {account: variant for account, step, _, variant in rows if step == 1}
    of_all = sorted(a for a, variant in drawn.items() if variant == TEXTS[1])
    for account in of_all[:-3]:
        subscribed(sessions, account, 5)
    lake = UsageLake(tmp_path / "usage")
    settled(sessions, lake, CLOSED)
    return rows, len(of_all), reporting(sessions, lake)


def test_messages_name_their_template_and_the_text_that_was_drawn(tried):
    rows, _, _ = tried

    assert {row[2:] for row in rows if row.step == 1} == {
        ("general", "{segment}"),
        ("general-follow-up", "general-follow-up"),
    }
    assert {row[2:] for row in rows if row.step == 2} == {("general-follow-up", None)}


def test_the_report_says_which_text_brings_back_more_and_whether_personal_pays(tried):
    _, of_all, made = tried
    (found,) = report.gather(made, as_of=CLOSED).campaigns
    (step,) = found.texts

    assert (step.step, step.best) == ("step 1", "general-follow-up")
    assert step.sentence.startswith("“general-follow-up” brings back the most")
    assert "One text for all does better than one for each segment." in step.sentence
    counts = {line.text: line.count for line in step.lines}
    assert counts["general-follow-up"].returned == of_all - 3
    assert counts["{segment}"].accounts == 100 - of_all

    week = report.week_of(CLOSED)
    id_ = f"{week}/spring/texts/step 1/lines/general-follow-up/count/returned"
    with explained(made, id_, now=CLOSED) as explanation:
        _, total = explanation.add_up()
    assert total == explanation.value == of_all - 3


def test_before_anything_is_shown_no_text_is_called_better(sessions, tmp_path):
    enrolled(sessions, [f"acc-{n:02}" for n in range(20)], two_texts())
    lake = UsageLake(tmp_path / "usage")
    settled(sessions, lake, CLOSED)
    (found,) = report.gather(reporting(sessions, lake), as_of=CLOSED).campaigns

    assert found.texts[0].best is None
    assert found.texts[0].sentence == (
        "No text is shown to bring back more than the others: “general-follow-up” "
        "0.0 %; “{segment}” 0.0 %. Nor is a text for each segment, over one for all."
    )
    assert NOON < CLOSED
