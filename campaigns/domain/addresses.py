"""Addresses as keyed hashes: recognised again, but not readable.

A plain hash of an address can be reversed by trying a dictionary of addresses; a keyed
one cannot without the key. Losing the key breaks suppression, so it is backed up.
"""

import hmac
import unicodedata
from hashlib import sha256


def normalise_address(address: str) -> str:
    """Return the form of `address` that is hashed: composed, trimmed, lower case.

    Only for recognising an address, never for writing to it: in theory the part
    before the @ may depend on case, but nobody means two mailboxes by it.
    """
    text = unicodedata.normalize("NFC", address.strip()).casefold()
    local, _, domain = text.rpartition("@")
    try:
        domain = domain.encode("idna").decode()
    except UnicodeError:
        return text
    return f"{local}@{domain}"


def hash_address(address: str, *, key: bytes) -> str:
    """Return the keyed hash by which `address` is known to suppressions."""
    return hmac.new(key, normalise_address(address).encode(), sha256).hexdigest()
