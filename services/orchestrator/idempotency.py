"""A submit that is said twice is one job: what a repeated `Idempotency-Key` is answered with.

The field is that of draft-ietf-httpapi-idempotency-key-header; a key lives as long as its job.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.kit.errors import IdempotencyKeyReused, InvalidRequest
from services.orchestrator.access.principal import Principal
from services.orchestrator.database import Transaction

_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")


@dataclass(frozen=True, slots=True)
class Origin:
    """Whence a job comes, besides its request."""

    idempotency_key: str | None = None
    retry_of: str | None = None
    resume_of: str | None = None


def key_of(caller: Principal, text: str | None) -> str | None:
    """The key of a header, with the quotes of a structured field or without. Raises `InvalidRequest`.

    Each caller has keys of their own: two that count from 1 must not be given each other's jobs.
    """
    if text is None:
        return None
    key = text[1:-1] if len(text) > 2 and text[0] == text[-1] == '"' else text
    if not _KEY.fullmatch(key):
        raise InvalidRequest("the Idempotency-Key is not 1 to 255 visible ASCII characters")
    return key if caller.is_anyone else f"{caller.name} {key}"


async def answered_before(tx: Transaction, request: Mapping[str, Any], origin: Origin) -> str | None:
    """The id of the job that the key has made. Raises `IdempotencyKeyReused` when it made another one."""
    made = await tx.one("job_by_key", idempotency_key=origin.idempotency_key)
    if made is None:
        return None
    is_same = (made["request"], made["retry_of"], made["resume_of"]) == (
        dict(request),
        origin.retry_of,
        origin.resume_of,
    )
    if not is_same:
        error = IdempotencyKeyReused(
            f"the Idempotency-Key was used for another request, which made job {made['job_id']}",
            hint="send a new key with a new request",
        )
        error.extras["job_id"] = made["job_id"]
        raise error
    return str(made["job_id"])
