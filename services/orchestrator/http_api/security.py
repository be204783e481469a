"""What the OpenAPI description says of access: one bearer scheme, and the scope of each operation."""

from __future__ import annotations

from typing import Any

from services.kit.errors import PermissionDenied, RateLimited, ScreenalyticsError, Unauthenticated
from services.orchestrator.operations import OPERATIONS

SCHEME = "bearer"
_REFUSALS: tuple[type[ScreenalyticsError], ...] = (Unauthenticated, PermissionDenied, RateLimited)


def describe(document: dict[str, Any]) -> dict[str, Any]:
    """`document` with its security schemes; OpenAPI 3.1 lets a bearer scheme list what it needs."""
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes[SCHEME] = {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (sk_...), or an access token of the issuer that the system trusts. "
        "A system that only its own machine can reach asks for none.",
    }
    needed = {operation.name: operation.scope for operation in OPERATIONS}
    for calls in document["paths"].values():
        for call in calls.values():
            scope = needed.get(call["operationId"])
            call["security"] = [] if scope is None else [{SCHEME: [scope]}]
            if scope is not None:
                for refusal in _REFUSALS:
                    call["responses"].setdefault(str(refusal.http_status), _answer(refusal))
    return document


def _answer(refusal: type[ScreenalyticsError]) -> dict[str, Any]:
    headers = {
        401: {"WWW-Authenticate": "how to say who calls"},
        429: {"Retry-After": "seconds until the next call may be made"},
    }.get(refusal.http_status, {})
    return {
        "description": refusal.title,
        "headers": {
            name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
        },
        "content": {"application/problem+json": {"schema": {"type": "object"}}},
    }
