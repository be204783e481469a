"""Webhooks, for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from services.orchestrator import answers
from services.orchestrator.announcements import EventType
from services.orchestrator.database import Row, as_json
from services.orchestrator.http_api.pages import Pages
from services.orchestrator.webhooks import Webhooks, WebhookSecret

_WEBHOOK = ("webhook_id", "url", "event_types", "description", "created_at", "disabled_at", "disabled_reason")
_DELIVERY = (
    "delivery_id",
    "event_id",
    "type",
    "subject",
    "state",
    "attempts",
    "tries",
    "created_at",
    "delivered_at",
)
_DAY_S = 86_400.0


class NewWebhook(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str
    event_types: list[EventType] = []
    description: Annotated[str, Field(max_length=500)] = ""


class Rotation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    overlap_s: Annotated[float, Field(ge=0, le=30 * _DAY_S)] = _DAY_S


def routes(webhooks: Webhooks) -> APIRouter:
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

    @router.post("", status_code=201, response_model=answers.WebhookWithSecret)
    async def create_webhook(body: NewWebhook) -> dict[str, Any]:
        """The answer tells the secret, which is not told again."""
        return _with_secret(await webhooks.create(body.url, body.event_types, body.description))

    @router.get("", response_model=answers.WebhookList)
    async def list_webhooks() -> dict[str, Any]:
        return {"webhooks": [_webhook(row) for row in await webhooks.list()]}

    @router.get("/{webhook_id}", response_model=answers.Webhook)
    async def get_webhook(webhook_id: str) -> dict[str, Any]:
        return _webhook(await webhooks.get(webhook_id))

    @router.delete("/{webhook_id}", status_code=204, response_class=Response)
    async def delete_webhook(webhook_id: str) -> Response:
        """With its deliveries."""
        await webhooks.delete(webhook_id)
        return Response(status_code=204)

    @router.post("/{webhook_id}:enable", response_model=answers.Webhook)
    async def enable_webhook(webhook_id: str) -> dict[str, Any]:
        """One that was disabled is told again; an enabled one stays as it is."""
        return _webhook(await webhooks.enable(webhook_id))

    @router.post("/{webhook_id}:rotate-secret", response_model=answers.WebhookWithSecret)
    async def rotate_webhook_secret(webhook_id: str, body: Rotation) -> dict[str, Any]:
        """For `overlap_s` everything is signed with the older secret as well."""
        return _with_secret(await webhooks.rotate_secret(webhook_id, body.overlap_s))

    @router.get("/{webhook_id}/deliveries", response_model=answers.DeliveryList)
    async def list_deliveries(webhook_id: str, page: Pages) -> dict[str, Any]:
        """The newest first."""
        found = await webhooks.deliveries(webhook_id, page)
        return {
            "deliveries": [_delivery(row) for row in found.items],
            "next_page_token": found.next_page_token,
        }

    @router.post("/{webhook_id}/deliveries/{delivery_id}:replay", response_model=answers.Delivery)
    async def replay_delivery(webhook_id: str, delivery_id: str) -> dict[str, Any]:
        """Sent once more, whatever became of it, with the same `webhook-id`."""
        return _delivery(await webhooks.replay(webhook_id, delivery_id))

    return router


def _webhook(row: Row) -> dict[str, Any]:
    return {name: as_json(row[name]) for name in _WEBHOOK}


def _with_secret(made: WebhookSecret) -> dict[str, Any]:
    return {**_webhook(made.webhook), "secret": made.secret}


def _delivery(row: Row) -> dict[str, Any]:
    next_at = as_json(row["next_at"]) if row["state"] == "pending" else None
    return {**{name: as_json(row[name]) for name in _DELIVERY}, "next_at": next_at}
