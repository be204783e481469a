"""A change that holds only for what its caller has seen (RFC 9110, section 13; AIP-154). Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from services.kit.errors import PreconditionFailed
from services.kit.messages import canonical_json

# Tags, any of which may be the current one; None asks for nothing.
IfMatch = Collection[str] | None


def digest_tag(shown: Mapping[str, Any]) -> str:
    """A tag that is another whenever anything that is shown is."""
    return hashlib.sha256(canonical_json(shown).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def require_match(current: str, if_match: IfMatch, what: str) -> None:
    """Raises `PreconditionFailed`."""
    if if_match is not None and current not in if_match:
        raise PreconditionFailed(
            f"{what} has changed since it was read", hint="read it again, and send its new etag with the change"
        )
