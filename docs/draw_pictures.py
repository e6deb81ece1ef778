"""Draw the demo's report and its mails into docs/pictures (needs Chromium).

    python docs/draw_pictures.py

Looks at what `make demo` left in ./demo.
"""

import email
import email.policy
import html
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from campaigns.web.mailbox import in_scheme

ROOT = Path(__file__).resolve().parents[1]
DEMO, PICTURES = ROOT / "demo", ROOT / "docs" / "pictures"
WIDTHS = (600, 375)


def looks() -> dict[str, str]:
    """Return one mail of each template of the demo, by the template's name."""
    found: dict[str, str] = {}
    with sqlite3.connect(DEMO / "mails" / "outbox.db") as outbox:
        rows = outbox.execute("SELECT tags, file FROM mails ORDER BY number").fetchall()
    for tags, file in rows:
        name = json.loads(tags).get("wb_template")  # a canary has none
        if name is not None and name not in found:
            message = email.message_from_bytes(
                (DEMO / "mails" / file).read_bytes(), policy=email.policy.default
            )
            found[name] = message.get_body(("html",)).get_content()
    return dict(sorted(found.items()))


def draw_mails(browser: Browser, mails: dict[str, str]) -> None:
    """Draw one mail in both schemes and widths, and a sheet of every template."""
    for scheme in ("light", "dark"):
        dark = "-dark" * (scheme == "dark")
        for width in WIDTHS:
            page = browser.new_page(
                viewport={"width": width, "height": 700}, color_scheme=scheme
            )
            page.set_content(mails["blocked-integration"])
            page.screenshot(path=PICTURES / f"mail-{width}{dark}.png")
            page.close()
        sheet = browser.new_page(viewport={"width": 1500, "height": 100})
        frames = "".join(
            f"<figure><figcaption>{name}</figcaption><iframe srcdoc="
            f'"{html.escape(in_scheme(mail, scheme))}"></iframe></figure>'
            for name, mail in mails.items()
        )
        sheet.set_content(SHEET.replace("FRAMES", frames))
        sheet.wait_for_timeout(500)
        sheet.screenshot(path=PICTURES / f"mails{dark}.png", full_page=True)
        sheet.close()


SHEET = """<style>
body { margin: 12px; font: 13px sans-serif; display: grid; gap: 12px;
  grid-template-columns: repeat(5, 1fr); background: #e8ebe9; }
figure { margin: 0; } figcaption { padding: 4px; }
iframe { width: 600px; height: 900px; border: 0; zoom: .46; background: #fff; }
</style>FRAMES"""


def draw_report(browser: Browser) -> None:
    """Draw the newest report in both schemes."""
    report = max((DEMO / "reports").glob("*.html"))
    for scheme in ("light", "dark"):
        page = browser.new_page(
            color_scheme=scheme, viewport={"width": 960, "height": 900}
        )
        page.goto(report.as_uri())
        dark = "-dark" * (scheme == "dark")
        page.screenshot(path=PICTURES / f"report{dark}.png")
        page.close()


def draw_mailbox(browser: Browser) -> None:
    """Draw the local SES's pages."""
    command = [sys.executable, "-m", "campaigns", "ses-local", "--port", "0"]
    with subprocess.Popen(
        [*command, "--folder", str(DEMO / "mails"), "--stop-with-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        url = process.stdout.readline().split()[-1]
        page = browser.new_page(viewport={"width": 960, "height": 760})
        page.goto(f"{url}/?q=slack")
        page.screenshot(path=PICTURES / "mailbox.png")
        page.close()
        process.stdin.close()


def main() -> int:
    """Draw everything."""
    browser_path = shutil.which("chromium")
    if browser_path is None or not DEMO.exists():
        print("needs Chromium, and the demo: make demo")
        return 1
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
        )
        draw_report(browser)
        draw_mails(browser, looks())
        draw_mailbox(browser)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
