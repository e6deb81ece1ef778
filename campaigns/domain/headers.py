"""Text that stands in a mail's header."""

import re
from typing import Final

_ENCODED_WORD: Final = re.compile(r"=\?[^?]*\?[bq]\?", re.IGNORECASE)


def header_text(text: str) -> str:
    """Return a text that is what it looks like when it stands in a header.

    Raises:
        ValueError: It is more than one line, or holds an encoded word (RFC 2047 §2):
            what that is decoded to is seen only by whoever reads the mail.
    """
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    if _ENCODED_WORD.search(text):
        raise ValueError("must not hold an encoded word such as =?utf-8?q?…?=")
    return text
