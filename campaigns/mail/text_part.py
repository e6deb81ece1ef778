"""A mail's text part, made from the same MJML as its HTML: they cannot say two things.

Each text becomes a paragraph, a button its label and address, a picture its alternative
text. Jinja's tags are masked, as for the HTML, and lines stay where they are: what is
empty once a mail is rendered is taken out then.
"""

import re
from html.parser import HTMLParser
from typing import Final

_IN_LINES: Final = frozenset({"p", "div", "tr", "h1", "h2", "h3"})
_LINKS: Final = frozenset({"mj-button", "mj-navbar-link", "mj-social-element"})
_PARAGRAPHS: Final = _LINKS | {
    "mj-text",
    "mj-table",
    "mj-raw",
    "mj-accordion-title",
    "mj-accordion-text",
}
"""All of MJML that holds text of its own."""

_EMPTY_LINES: Final = re.compile(r"\n[ \t]*\n\s*")
_WHITE: Final = re.compile(r"[ \t\r\n]+")
_MARK: Final = re.compile(r"wb\d+")


def text_of(mjml: str) -> str:
    """Return the text of a masked MJML document, its marks kept."""
    reader = _Reader()
    reader.feed(mjml)
    reader.close()
    return "".join(reader.blocks).strip() + "\n"


def tidied(text: str) -> str:
    """Return a rendered text without the empty lines that statements left."""
    return _EMPTY_LINES.sub("\n\n", text).strip() + "\n"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = []
        self._paragraph: list[str] | None = None
        self._address: str | None = None
        self._heads = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "mj-head":
            self._heads += 1
        elif self._heads:
            return
        elif tag in _PARAGRAPHS:
            self._paragraph = []
            self._address = values.get("href")
        elif tag == "mj-image" and values.get("alt"):
            self.blocks.append(f"{values['alt']}\n\n")
        elif self._paragraph is not None:
            self._start_inside(tag, values)

    def _start_inside(self, tag: str, values: dict[str, str]) -> None:
        if tag == "br" or tag in _IN_LINES:
            self._say("\n")
        elif tag == "li":
            self._say("\n- ")
        elif tag == "a":
            self._address = values.get("href")

    def handle_endtag(self, tag: str) -> None:
        if tag == "mj-head":
            self._heads -= 1
        elif self._paragraph is None:
            return
        elif tag == "a" and self._address:
            self._say(f" ({self._address})")
            self._address = None
        elif tag in {"td", "th"}:
            self._say(" ")
        elif tag in _PARAGRAPHS:
            if tag in _LINKS and self._address:
                self._say(f": {self._address}")
            self._end_paragraph()

    def _end_paragraph(self) -> None:
        text = re.sub(r" ?\n ?", "\n", "".join(self._paragraph or [])).strip()
        self._paragraph = None
        if text:
            self.blocks.append(f"{text}\n\n")

    def handle_data(self, data: str) -> None:
        if self._paragraph is not None and not self._heads:
            self._say(_WHITE.sub(" ", data))

    def handle_comment(self, data: str) -> None:
        if self._heads or not _MARK.fullmatch(data):
            return
        if self._paragraph is None:
            self.blocks.append(f"<!--{data}-->\n")
        else:
            self._say(f"<!--{data}-->")

    def _say(self, text: str) -> None:
        if self._paragraph is not None:
            self._paragraph.append(text)
