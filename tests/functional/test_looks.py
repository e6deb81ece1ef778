"""Pages and mails in a real browser: nothing sticks out, nothing is fetched."""

import email
import email.policy

import pytest
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as play:
        opened = play.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield opened
        opened.close()


_WIDTH_NEEDED = """() => Math.max(
    document.documentElement.scrollWidth,
    ...[...document.querySelectorAll(".scroll, .chart")]
        .map(each => innerWidth + each.scrollWidth - each.clientWidth),
)"""


@pytest.fixture
def look(browser):
    """Show a page; returns the width it needs, what it asked for, what it says."""

    def look(*, url=None, html=None, width=600, scheme="light"):
        page = browser.new_page(
            viewport={"width": width, "height": 800}, color_scheme=scheme
        )
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        if url:
            page.goto(url)
        else:
            page.set_content(html)
        wide = page.evaluate(_WIDTH_NEEDED)
        text, background = page.evaluate(
            "[document.body.innerText, getComputedStyle(document.body).backgroundColor]"
        )
        page.close()
        outside = [each for each in asked if not each.startswith(("file:", "data:"))]
        return wide, outside, text, background

    return look


@pytest.mark.parametrize("width", [360, 1000])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_fits_every_width_in_both_schemes(demo, look, width, scheme):
    root, _ = demo
    report = max((root / "reports").glob("*.html"))

    wide, outside, text, background = look(
        url=report.as_uri(), width=width, scheme=scheme
    )

    assert wide <= width
    assert outside == []
    assert "Rates so far" in text
    is_dark = sum(int(n) for n in background[4:-1].split(",")) < 300
    assert is_dark == (scheme == "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_printed_dark_on_white(demo, browser, scheme):
    root, _ = demo
    page = browser.new_page(viewport={"width": 720, "height": 800})
    page.emulate_media(media="print", color_scheme=scheme)
    page.goto(max((root / "reports").glob("*.html")).as_uri())
    ink, paper = page.evaluate(
        "(({color, backgroundColor}) => [color, backgroundColor])"
        "(getComputedStyle(document.querySelector('.sheet')))"
    )
    charts = page.evaluate(
        "[...document.querySelectorAll('.light, .dark')].map(each =>"
        " [each.className, getComputedStyle(each).display != 'none'])"
    )
    wide = page.evaluate(_WIDTH_NEEDED)
    page.close()

    assert (ink, paper) == ("rgb(34, 48, 43)", "rgb(255, 255, 255)")
    assert {"light", "dark"} <= {kind for name, _ in charts for kind in name.split()}
    assert all(is_shown == ("light" in name.split()) for name, is_shown in charts)
    assert wide <= 720


@pytest.mark.parametrize("width", [600, 375])
def test_every_mail_fits_a_screen_and_a_phone(demo, look, width):
    root, _ = demo
    seen = {}
    for path in sorted((root / "mails").glob("*.eml")):
        message = email.message_from_bytes(
            path.read_bytes(), policy=email.policy.default
        )
        first_words = " ".join(str(message["Subject"]).split()[:2])
        seen.setdefault(first_words, message.get_body(("html",)).get_content())
    assert len(seen) >= 8
    for html in seen.values():
        wide, outside, text, _ = look(html=html, width=width)
        assert wide <= width
        assert outside == []
        assert "Unsubscribe" in text
