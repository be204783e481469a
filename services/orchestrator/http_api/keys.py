"""API keys and the audit log. Over REST alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.orchestrator import answers
from services.orchestrator.access.audit import AuditLog
from services.orchestrator.access.keys import ApiKeys, IssuedKey
from services.orchestrator.database import Row, as_json
from services.orchestrator.http_api.description import Described, header
from services.orchestrator.http_api.pages import Pages
from services.orchestrator.operations import Scope

_KEY_FIELDS = ("key_id", "name", "created_by")
_KEY_TIMES = ("created_at", "rotated_at", "expires_at", "last_used_at", "revoked_at")
_ENTRY_FIELDS = ("at", "who", "operation", "resource", "outcome", "request_id", "remote")
_A_DAY_S = 86_400
_MADE: Described = {201: {"headers": {"Location": header("Of the key.", format="uri-reference")}}}


class NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    expires_at: datetime | None = None


class Rotation(BaseModel):
    """`overlap_s`: how long the secret of now works on beside the new one."""

    model_config = ConfigDict(extra="forbid")

    overlap_s: float = Field(default=_A_DAY_S, ge=0, le=90 * _A_DAY_S)


def key_shown(row: Row) -> dict[str, Any]:
    times = {name: as_json(row[name]) for name in _KEY_TIMES}
    return {
        **{name: row[name] for name in _KEY_FIELDS},
        "scopes": row["scopes"],
        **times,
        "previous_secret_until": as_json(row["previous_until"]),
    }


def _issued(key: IssuedKey) -> dict[str, Any]:
    return {**key_shown(key.row), "key": key.text}


def routes(keys: ApiKeys, audit: AuditLog) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["access"])

    @router.post("/keys", status_code=201, response_model=answers.IssuedApiKey, responses=_MADE)
    async def create_key(body: NewKey, request: Request, response: Response) -> dict[str, Any]:
        """The answer holds the key itself, `key`: it is shown this once and kept nowhere."""
        made = await keys.create(
            body.name,
            frozenset(body.scopes),
            created_by=request.state.caller.name or "anyone",
            expires_at=body.expires_at,
        )
        response.headers["Location"] = f"/v1/keys/{made.row['key_id']}"
        response.headers["Cache-Control"] = "no-store"
        return _issued(made)

    @router.get("/keys", response_model=answers.ApiKeyList)
    async def list_keys() -> dict[str, Any]:
        return {"keys": [key_shown(row) for row in await keys.list()]}

    @router.post("/keys/{key_id}:revoke", response_model=answers.ApiKey)
    async def revoke_key(key_id: str) -> dict[str, Any]:
        """From now on; other replicas follow within `SCREENALYTICS_ACCESS__KEY_CACHE_S`."""
        return key_shown(await keys.revoke(key_id))

    @router.post("/keys/{key_id}:rotate", response_model=answers.IssuedApiKey)
    async def rotate_key(key_id: str, response: Response, body: Rotation | None = None) -> dict[str, Any]:
        """A new secret under the same id, shown this once."""
        overlap_s = (body or Rotation()).overlap_s
        response.headers["Cache-Control"] = "no-store"
        return _issued(await keys.rotate(key_id, overlap=timedelta(seconds=overlap_s)))

    @router.get("/audit", response_model=answers.AuditPage)
    async def list_audit(
        pages: Pages, who: str | None = None, operation: str | None = None, resource: str | None = None
    ) -> dict[str, Any]:
        """The newest first. `resource` is asked for by its name (`jobs/ID`, `episodes/EP_ID`, `keys/ID`)."""
        page = await audit.entries(pages, who=who, operation=operation, resource=resource)
        shown = [{name: as_json(row[name]) for name in _ENTRY_FIELDS} for row in page.items]
        return {"entries": shown, "next_page_token": page.next_page_token}

    return router
