"""Webhooks and their deliveries."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from services.orchestrator.announcements import EventType
from services.orchestrator.answers.shared import NextPageToken, Time


class Webhook(BaseModel):
    """No `event_types` are all of them; `disabled_reason` says why nothing is sent any more."""

    webhook_id: str
    url: str
    event_types: list[EventType]
    description: str
    created_at: Time
    disabled_at: Time | None
    disabled_reason: str | None


class WebhookWithSecret(Webhook):
    """The secret is told this once."""

    secret: str


class WebhookList(BaseModel):
    webhooks: list[Webhook]


class DeliveryTry(BaseModel):
    """`error`: the first bytes of an answer that was no success, or why there was none."""

    at: Time
    status: int | None
    latency_ms: int | None
    error: str


class Delivery(BaseModel):
    """`event_id` is the `webhook-id` that is sent. `next_at`: when a pending one is tried again."""

    delivery_id: str
    event_id: str
    type: EventType
    subject: str
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    tries: list[DeliveryTry]
    created_at: Time
    next_at: Time | None
    delivered_at: Time | None


class DeliveryList(BaseModel):
    deliveries: list[Delivery]
    next_page_token: NextPageToken
