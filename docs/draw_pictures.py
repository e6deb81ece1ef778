"""Draw the demo's report and its mails into docs/pictures (needs Chromium).

    python docs/draw_pictures.py

Looks at what `make demo` left in ./demo.
"""

import email
import email.policy
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
DEMO, PICTURES = ROOT / "demo", ROOT / "docs" / "pictures"
WIDTHS = (600, 375)


def mails() -> dict[str, str]:
    """Return the HTML of one mail of each subject's beginning, by template."""
    found: dict[str, str] = {}
    for path in sorted((DEMO / "mails").glob("*.eml"))[:400]:
        message = email.message_from_bytes(
            path.read_bytes(), policy=email.policy.default
        )
        body = message.get_body(("html",))
        title = str(message["Subject"]).split(" at ")[0]
        found.setdefault(title[:24].lower().replace(" ", "-"), body.get_content())
    return found


def main() -> int:
    """Draw everything."""
    browser_path = shutil.which("chromium")
    if browser_path is None or not DEMO.exists():
        print("needs Chromium, and the demo: make demo")
        return 1
    PICTURES.mkdir(exist_ok=True)
    report = max((DEMO / "reports").glob("*.html"))
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
        )
        for scheme in ("light", "dark"):
            page = browser.new_page(
                color_scheme=scheme, viewport={"width": 960, "height": 900}
            )
            page.goto(report.as_uri())
            name = "report" if scheme == "light" else "report-dark"
            page.screenshot(path=PICTURES / f"{name}.png")
        for width in WIDTHS:
            page = browser.new_page(viewport={"width": width, "height": 700})
            for title, html in mails().items():
                page.set_content(html)
                if title.startswith("about-the-slack"):
                    page.screenshot(path=PICTURES / f"mail-{width}.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
