"""Keys and the audit log."""

from __future__ import annotations

from pydantic import BaseModel

from services.orchestrator.answers.shared import Time
from services.orchestrator.operations import Scope


class ApiKey(BaseModel):
    """`previous_secret_until`: how long the secret before the last rotation works on."""

    key_id: str
    name: str
    scopes: list[Scope]
    created_by: str
    created_at: Time
    rotated_at: Time | None
    expires_at: Time | None
    last_used_at: Time | None
    revoked_at: Time | None
    previous_secret_until: Time | None


class IssuedApiKey(ApiKey):
    """`key` is shown this once and kept nowhere."""

    key: str


class ApiKeyList(BaseModel):
    keys: list[ApiKey]


class AuditEntry(BaseModel):
    """`resource`: kind and keyed hash of its name. `outcome`: `ok`, `cancelled`, or the code of the problem."""

    at: Time
    who: str
    operation: str
    resource: str
    outcome: str
    request_id: str
    remote: str


class AuditPage(BaseModel):
    entries: list[AuditEntry]
    next_page_token: str
