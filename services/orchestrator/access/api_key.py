"""The text of an API key: `sk_<public id>_<secret>`. The system keeps the secret's digest alone.

A secret is 32 random bytes, so a plain SHA-256 of it cannot be searched; a slow hash would only slow each call.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass

_ALPHABET = string.ascii_lowercase + string.digits
_ID_CHARS = 8
_SECRET_BYTES = 32
_TEXT = re.compile(r"sk_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class PresentedKey:
    key_id: str
    secret_sha256: bytes


def new_key_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))


def is_key_id(text: str) -> bool:
    return len(text) == _ID_CHARS and set(text) <= set(_ALPHABET)


def new_secret() -> str:
    return secrets.token_urlsafe(_SECRET_BYTES)


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def key_text(key_id: str, secret: str) -> str:
    return f"sk_{key_id}_{secret}"


def presented(text: str) -> PresentedKey | None:
    """None for what is no key of this form."""
    match = _TEXT.fullmatch(text)
    return None if match is None else PresentedKey(match[1], digest(match[2]))


def is_one_of(presented_sha256: bytes, known: list[bytes]) -> bool:
    """In a time that does not tell how much of a digest was right, nor which one."""
    matches = [hmac.compare_digest(presented_sha256, one) for one in known]
    return any(matches)
