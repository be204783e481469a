"""What the OpenAPI description says of access: one bearer scheme, and the scope of each operation."""

from __future__ import annotations

from typing import Any

from services.orchestrator.operations import OPERATIONS

SCHEME = "bearer"


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
    return document
