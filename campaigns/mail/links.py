"""Unsubscribe tokens: signed, without a personal value, and good for ever.

A token names a message by its number, and its address by the keyed hash: by that it is
known who unsubscribes though the database was restored meanwhile. It does not expire,
because people unsubscribe by mails they find years later; a key that was rotated out
still verifies.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from campaigns.domain.values import Recipient

_NUMBER_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 16


class Tokens:
    """Makes and reads tokens.

    Args:
        keys: Secret keys by key id; the last one signs, all of them verify.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)

    def make(self, recipient: Recipient) -> str:
        """Return the token of a mail to a recipient."""
        key_id = list(self._keys)[-1]
        number = recipient.message.to_bytes(_NUMBER_BYTES)
        named = number + bytes.fromhex(recipient.address_hash or "")
        signed = named + self._signature(key_id, named)
        return f"{key_id}.{urlsafe_b64encode(signed).decode().rstrip('=')}"

    def read(self, token: str) -> Recipient | None:
        """Return the recipient a token names, or None if we did not make it."""
        key_id, _, body = token.partition(".")
        if key_id not in self._keys or not body.isascii():
            return None
        try:
            signed = urlsafe_b64decode(body + "=" * (-len(body) % 4))
        except (NotBase64, ValueError):
            return None
        named, signature = signed[:-_SIGNATURE_BYTES], signed[-_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(key_id, named)):
            return None
        number, address_hash = named[:_NUMBER_BYTES], named[_NUMBER_BYTES:]
        return Recipient(int.from_bytes(number), address_hash.hex() or None)

    def _signature(self, key_id: str, named: bytes) -> bytes:
        return hmac.new(self._keys[key_id], named, sha256).digest()[:_SIGNATURE_BYTES]


def unsubscribe_headers(url: str) -> dict[str, str]:
    """Return the two headers that make unsubscribing one click.

    RFC 8058, section 3.1: both are needed, with one HTTPS address; the POST asks for no
    login.
    """
    return {
        "List-Unsubscribe": f"<{url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
