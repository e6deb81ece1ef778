"""Unsubscribe tokens: signed, without a personal value, and good for ever.

A token names a message by its number. It does not expire, because people unsubscribe by
mails they find years later; a key that was rotated out still verifies.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

_NUMBER_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 16


class Tokens:
    """Makes and reads tokens.

    Args:
        keys: Secret keys by key id; the last one signs, all of them verify.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)

    def make(self, message: int) -> str:
        """Return the token of a message."""
        key_id = list(self._keys)[-1]
        number = message.to_bytes(_NUMBER_BYTES)
        signed = number + self._signature(key_id, number)
        return f"{key_id}.{urlsafe_b64encode(signed).decode().rstrip('=')}"

    def read(self, token: str) -> int | None:
        """Return the message a token names, or None if we did not make it."""
        key_id, _, body = token.partition(".")
        if key_id not in self._keys or not body.isascii():
            return None
        try:
            signed = urlsafe_b64decode(body + "=" * (-len(body) % 4))
        except (NotBase64, ValueError):
            return None
        number, signature = signed[:_NUMBER_BYTES], signed[_NUMBER_BYTES:]
        if not hmac.compare_digest(signature, self._signature(key_id, number)):
            return None
        return int.from_bytes(number)

    def _signature(self, key_id: str, number: bytes) -> bytes:
        return hmac.new(self._keys[key_id], number, sha256).digest()[:_SIGNATURE_BYTES]


def unsubscribe_headers(url: str) -> dict[str, str]:
    """Return the two headers that make unsubscribing one click.

    RFC 8058, section 3.1: both are needed, with one HTTPS address; the POST asks for no
    login.
    """
    return {
        "List-Unsubscribe": f"<{url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
