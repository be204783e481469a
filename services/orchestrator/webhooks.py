"""Webhooks: who is told of what, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ulid import ULID

from services.kit.errors import Conflict, NotFound
from services.orchestrator.announcements import EventType
from services.orchestrator.database import Database, Row
from services.orchestrator.outbound import Outbound
from services.orchestrator.paging import Page, PageRequest, begin_before_number, page_of
from services.orchestrator.settings import WebhooksSettings
from services.orchestrator.webhook_messages import SecretBox, new_secret, shown_secret


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """`secret` is told this once."""

    webhook: Row
    secret: str


class Webhooks:
    def __init__(self, database: Database, outbound: Outbound, settings: WebhooksSettings) -> None:
        self._database = database
        self._outbound = outbound
        self._settings = settings

    async def create(self, url: str, event_types: Sequence[EventType], description: str) -> WebhookSecret:
        """No types are all of them. Raises `AddressRefused`, `RemoteUnavailable`, `Conflict` without a key."""
        box = self._box()
        await self._outbound.check(url, hosts=self._settings.hosts)
        webhook_id, secret = str(ULID()), new_secret()
        async with self._database.transaction() as tx:
            row = await tx.last(
                "insert_webhook",
                webhook_id=webhook_id,
                url=url,
                event_types=[str(kind) for kind in event_types],
                description=description,
                secret=box.seal(secret, webhook_id),
            )
        assert row is not None
        return WebhookSecret(row, shown_secret(secret))

    async def list(self) -> list[Row]:
        return await self._database.read("list_webhooks")

    async def get(self, webhook_id: str) -> Row:
        """Raises `NotFound`."""
        return _found(await self._database.read("get_webhook", webhook_id=webhook_id))

    async def delete(self, webhook_id: str) -> None:
        """With its deliveries. Raises `NotFound`."""
        _found(await self._database.read("delete_webhook", webhook_id=webhook_id))

    async def enable(self, webhook_id: str) -> Row:
        """Told of what happens from now on, and of what was due when it was disabled. Raises `NotFound`."""
        return _found(await self._database.read("enable_webhook", webhook_id=webhook_id))

    async def rotate_secret(self, webhook_id: str, overlap_s: float) -> WebhookSecret:
        """What is sent is signed with the older secret as well for so long. Raises `NotFound`, `Conflict`."""
        secret = new_secret()
        sealed = self._box().seal(secret, webhook_id)
        rows = await self._database.read(
            "rotate_webhook_secret", webhook_id=webhook_id, secret=sealed, overlap_s=overlap_s
        )
        return WebhookSecret(_found(rows), shown_secret(secret))

    async def deliveries(self, webhook_id: str, page: PageRequest) -> Page[Row]:
        """The newest first. Raises `NotFound`, `InvalidRequest`, `InvalidPageToken`."""
        await self.get(webhook_id)
        query = {"list": "deliveries", "webhook_id": webhook_id}
        before = begin_before_number(page, query)
        rows = await self._database.read(
            "list_deliveries",
            webhook_id=webhook_id,
            before=before,
            limit=page.limit + 1,
        )
        return page_of(rows, page, query, lambda row: (str(row["number"]),))

    async def replay(self, webhook_id: str, delivery_id: str) -> Row:
        """To be sent once more, with all attempts anew and the same id. Raises `NotFound`."""
        rows = await self._database.read("replay_delivery", webhook_id=webhook_id, delivery_id=delivery_id)
        return _found(rows, "delivery")

    def _box(self) -> SecretBox:
        if not self._settings.secret_key:
            raise Conflict(
                "this system keeps no webhooks, since it has no key to seal their secrets with",
                hint="an administrator can set SCREENALYTICS_WEBHOOKS__SECRET_KEY: `openssl rand -base64 32`",
            )
        return SecretBox(self._settings.secret_key)


def _found(rows: list[Row], what: str = "webhook") -> Row:
    if not rows:
        raise NotFound(f"no such {what}")
    return rows[0]
