"""Digests that callers send along, by RFC 9530 or as 64 hex digits."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterator, Iterable

from services.kit.errors import DigestMismatch, InvalidRequest

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_MEMBER = re.compile(r"\s*([a-z0-9*._-]+)\s*=\s*:([A-Za-z0-9+/=]*):\s*(?:;[^,]*)?")
_SHA256 = "sha-256"


def sha256_from_hex(text: str) -> bytes:
    """Raises `InvalidRequest`."""
    if not _HEX.fullmatch(text):
        raise InvalidRequest("sha256 is not 64 hex digits")
    return bytes.fromhex(text)


def sha256_from_fields(fields: Iterable[str]) -> bytes | None:
    """The sha-256 of `Content-Digest` or `Repr-Digest` fields; other algorithms are not looked at.

    Raises `InvalidRequest` for a field that is none of RFC 9530.
    """
    for field in fields:
        for member in field.split(","):
            found = _MEMBER.fullmatch(member)
            if found is None:
                raise InvalidRequest("a digest field is not of the form sha-256=:base64:")
            if found[1] == _SHA256:
                return _decoded(found[2])
    return None


async def with_digest(chunks: AsyncIterator[bytes], sha256: bytes | None) -> AsyncIterator[bytes]:
    """The same bytes. Raises `DigestMismatch` in place of an end, unless they have the digest."""
    digest = hashlib.sha256()
    async for chunk in chunks:
        if sha256 is not None:
            digest.update(chunk)
        yield chunk
    if sha256 is not None and digest.digest() != sha256:
        raise DigestMismatch(
            f"the content has the sha256 {digest.hexdigest()}, and not {sha256.hex()}", hint="send it again"
        )


def _decoded(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise InvalidRequest("a digest is not base64") from error
    if len(value) != hashlib.sha256().digest_size:
        raise InvalidRequest("a sha-256 digest has 32 bytes")
    return value
