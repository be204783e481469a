"""Shapes of values: the pieces that the chart's schema is made of. Objects are closed, but for `OPEN`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

# Structures of Kubernetes that its API server checks.
OPEN: Schema = {"type": "object", "additionalProperties": True}

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "array", "items": TEXT}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
SECONDS: Schema = {"type": "integer", "minimum": 1, "maximum": 86400}
NAME: Schema = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$"}
FILE_NAME: Schema = {"type": "string", "pattern": "^[A-Za-z0-9._-]+$"}
SIZE: Schema = {"type": "string", "pattern": "^[1-9][0-9]*(Mi|Gi|Ti)$"}
DIGEST: Schema = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
PASSWORD: Schema = {"type": "string", "pattern": "^([A-Za-z0-9._~-]{12,})?$"}
PROVIDER: Schema = {"enum": ["cuda", "cpu"]}
TAG: Schema = {"type": "string", "pattern": r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"}
REPOSITORY: Schema = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9._/-]*[a-z0-9])?$"}
REGISTRY: Schema = {"type": "string", "pattern": "^([A-Za-z0-9]([A-Za-z0-9._:/-]*[A-Za-z0-9])?)?$"}

# How a listener of ours is reached by TLS, and checked.
TLS: dict[str, Schema] = {
    "existingSecret": NAME,
    "serverName": NAME,
    "caConfigMap": NAME,
    "caKey": FILE_NAME,
}


def count(minimum: int = 0, maximum: int = 1000) -> Schema:
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


def closed(properties: Mapping[str, Schema], *, required: tuple[str, ...] = ()) -> Schema:
    made: Schema = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return made | ({"required": list(required)} if required else {})


def texts_by(pattern: str = "^.+$", value: Schema = TEXT) -> Schema:
    return {"type": "object", "additionalProperties": False, "patternProperties": {pattern: value}}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


LABELS = texts_by("^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")
ANNOTATIONS = texts_by("^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
TOLERATIONS = array(
    closed(
        {
            "key": TEXT,
            "operator": {"enum": ["Exists", "Equal"]},
            "value": TEXT,
            "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
            "tolerationSeconds": count(maximum=1 << 31),
        }
    )
)
QUANTITIES = closed(
    {
        "cpu": {"type": ["string", "integer"], "pattern": r"^[0-9.]+m?$", "minimum": 1},
        "memory": {"type": "string", "pattern": "^[1-9][0-9]*(Ki|Mi|Gi|Ti)$"},
        "ephemeral-storage": SIZE,
    },
    required=("cpu", "memory"),
)
RESOURCES = closed({"requests": QUANTITIES, "limits": QUANTITIES}, required=("requests", "limits"))
SELECTOR = closed(
    {
        "matchLabels": LABELS,
        "matchExpressions": array(
            closed({"key": TEXT, "operator": TEXT, "values": TEXTS}, required=("key", "operator"))
        ),
    }
)
PEERS = array(
    closed(
        {
            "namespaceSelector": SELECTOR,
            "podSelector": SELECTOR,
            "ipBlock": closed({"cidr": TEXT, "except": TEXTS}, required=("cidr",)),
        }
    )
)
EGRESS = closed({"to": PEERS, "ports": {"type": "array", "items": PORT, "minItems": 1}})
GPU_LIMITS = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "patternProperties": {r"^(nvidia\.com/(gpu(\.shared)?|mig-[0-9]+g\.[0-9]+gb(\.me)?))$": count(1, 16)},
}
