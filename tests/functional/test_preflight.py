"""A mail that cannot be made is found before it is due, and nothing is sent for it."""

from campaigns.wiring.workspace import open_workspace
from tests.factories import enrolled, words

MAIL = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>{}</mj-text></mj-column>"
    "</mj-section></mj-body></mjml>"
)


def test_mails_that_cannot_be_made_are_listed_and_stay_planned(walk, tmp_path):
    root = tmp_path / "here"
    walk("init", root)
    opened = open_workspace(root)
    enrolled(opened.sessions, [f"acc-{number}" for number in range(250)])

    def preflight(text=None, **options):
        if text is not None:
            folder = root / "templates" / "email" / "general"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "subject.txt").write_text("Hello")
            (folder / "body.mjml").write_text(MAIL.format(text))
        return walk("campaign", "preflight", "spring", workspace=root, **options)

    assert "250 of 250 planned mails can be made." in preflight()

    on_one = (
        "{% if account.name == 'Company acc-77' %}{{ contact.frist_name }}{% endif %}"
    )
    said = preflight(on_one, fails=1)
    assert "249 of 250 planned mails can be made." in said
    assert "acc-77" in said
    assert "frist_name" in said

    said = preflight("{{ contact.frist_name }}", fails=1)
    assert "0 of 250 planned mails can be made." in said
    assert "… and 230 more." in said
    assert "p1@" not in said
    assert set(words(opened.sessions)) == {"planned"}


def test_a_campaign_that_has_planned_nothing_is_told_so(walk, tmp_path):
    root = tmp_path / "here"
    walk("init", root)
    walk("campaign", "apply", root / "campaigns" / "win-back.toml", workspace=root)

    said = walk("campaign", "preflight", "win-back", workspace=root)
    assert "has no planned mail" in said
    said = walk("campaign", "preflight", "winter", workspace=root, fails=1)
    assert "winter" in said
