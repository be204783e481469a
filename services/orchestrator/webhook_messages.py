"""What a webhook is sent: CloudEvents 1.0 in JSON, signed after Standard Webhooks 1.0. Pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.kit.errors import InvalidSettings
from services.kit.messages import canonical_json
from services.orchestrator.database import Row
from services.orchestrator.settings import WebhooksSettings

_SECRET_BYTES = 32
_NONCE_BYTES = 12
_PREFIX = "whsec_"


def cloud_event(row: Row, source: str) -> bytes:
    """The same bytes at every try. `sequence` orders the events of one job."""
    event = {
        "specversion": "1.0",
        "id": row["event_id"],
        "source": source,
        "type": row["type"],
        "subject": row["subject"],
        "time": row["at"].isoformat(),
        "sequence": f"{row['number']:020d}",
        "datacontenttype": "application/json",
        "data": row["data"],
    }
    return canonical_json(event).encode()


def signed_headers(event_id: str, timestamp: int, body: bytes, signing: Sequence[bytes]) -> dict[str, str]:
    """One signature for each secret, so that a receiver may know either of two."""
    content = f"{event_id}.{timestamp}.".encode() + body
    signatures = [
        f"v1,{base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode()}" for secret in signing
    ]
    return {
        "Content-Type": "application/cloudevents+json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def retry_delay_s(attempts: int, settings: WebhooksSettings, jitter: float) -> float:
    """After so many attempts; doubles each time. `jitter` of 0..1 spreads it over half to all of that."""
    full = min(settings.first_retry_s * 2.0 ** min(attempts - 1, 40), settings.longest_retry_s)
    return full * (0.5 + jitter / 2)


def new_secret() -> bytes:
    return secrets.token_bytes(_SECRET_BYTES)


def shown_secret(secret: bytes) -> str:
    return _PREFIX + base64.b64encode(secret).decode()


class SecretBox:
    """Seals secrets for Postgres by AES-256-GCM, each bound to its webhook."""

    def __init__(self, key: str) -> None:
        """`key`: base64 of 32 bytes."""
        self._cipher = AESGCM(base64.b64decode(key))

    def seal(self, secret: bytes, webhook_id: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, webhook_id.encode())

    def open(self, sealed: bytes, webhook_id: str) -> bytes:
        """Raises `InvalidSettings` when it was sealed with another key."""
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, text, webhook_id.encode())
        except InvalidTag as error:
            raise InvalidSettings("the webhook's secret was sealed with another webhooks.secret_key") from error
