"""The schema of the chart's values. Settings of the services are taken from their classes.

Closed everywhere: a value that is not described here is refused, so that a misspelt one is never ignored.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from services.detector.settings import DetectorSettings
from services.kit.settings import ServiceSettings
from services.orchestrator.settings import OrchestratorSettings

Schema = dict[str, Any]

# Settings that follow from other values of the chart.
MADE_BY_THE_CHART = frozenset(
    {
        ("grpc", "host"),
        ("grpc", "port"),
        ("health", "host"),
        ("health", "port"),
        ("http", "host"),
        ("http", "port"),
        ("inference", "allow_cpu_fallback"),
        ("inference", "provider"),
        ("inference", "start_timeout_s"),
        ("media", "allow_local_paths"),
        ("models", "dir"),
        ("nats", "url"),
        ("postgres", "dsn"),
        ("postgres", "migrate_at_start"),
        ("routes", "declared"),
        ("store", "options"),
        ("store", "url"),
        ("threads", "max_cpu"),
        ("triton", "url"),
        ("worker", "drain_grace_s"),
        ("worker", "scratch_dir"),
    }
)
# Structures of Kubernetes that its API server checks.
OPEN: Schema = {"type": "object", "additionalProperties": True}

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "array", "items": TEXT}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
SECONDS: Schema = {"type": "integer", "minimum": 1, "maximum": 86400}
NAME: Schema = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$"}
SIZE: Schema = {"type": "string", "pattern": "^[1-9][0-9]*(Mi|Gi|Ti)$"}
DIGEST: Schema = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
PASSWORD: Schema = {"type": "string", "pattern": "^([A-Za-z0-9._~-]{12,})?$"}
PROVIDER: Schema = {"enum": ["cuda", "cpu"]}
TAG: Schema = {"type": "string", "pattern": r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"}
REPOSITORY: Schema = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9._/-]*[a-z0-9])?$"}
REGISTRY: Schema = {"type": "string", "pattern": "^([A-Za-z0-9]([A-Za-z0-9._:/-]*[A-Za-z0-9])?)?$"}


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


def settings(cls: type[ServiceSettings]) -> Schema:
    """What an operator may set of a service, by group and field."""
    groups: dict[str, Schema] = {}
    for name, outer in cls.model_fields.items():
        kind = outer.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, BaseModel)
        whole = kind.model_json_schema()
        fields = {
            field: _plain(schema, whole.get("$defs", {}))
            for field, schema in whole["properties"].items()
            if (name, field) not in MADE_BY_THE_CHART
        }
        if fields:
            groups[name] = closed(fields)
    return closed(groups)


def _plain(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Without references, titles and defaults; null is a setting that is left out."""
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        (only,) = [option for option in schema["anyOf"] if option.get("type") != "null"]
        return _plain(only, definitions)
    kept = {
        key: value for key, value in schema.items() if key not in {"title", "default", "description", "format"}
    }
    if kept.get("type") == "object":
        return texts_by()
    return kept


def worker(*, is_default: bool) -> Schema:
    scaling = closed(
        {
            "enabled": FLAG,
            "minReplicas": count(),
            "maxReplicas": count(1),
            "lagThreshold": count(1),
            "activationLagThreshold": count(),
            "cooldownSeconds": SECONDS,
            "stabilizationSeconds": SECONDS,
            "pollingSeconds": count(1, 300),
            "fallbackReplicas": count(),
        }
    )
    fields: dict[str, Schema] = {
        "provider": PROVIDER,
        "allowCpu": FLAG,
        "allowCpuFallback": FLAG,
        "runtime": {"enum": ["onnxruntime", "triton"]},
        "gpuProfile": NAME,
        "replicas": count(),
        "coldStartSeconds": {"type": "integer", "minimum": 30, "maximum": 3600},
        "terminationGracePeriodSeconds": {"type": "integer", "minimum": 60, "maximum": 86400},
        "settings": settings(DetectorSettings),
        "scratchSize": SIZE,
        "podAnnotations": ANNOTATIONS,
        "nodeSelector": LABELS,
        "tolerations": TOLERATIONS,
        "affinity": OPEN,
        "priorityClassName": NAME,
        "scaling": scaling,
    }
    if is_default:
        return closed(fields)
    own = {"service": {"enum": ["detector", "embedder", "clusterer"]}, "resources": RESOURCES}
    return closed(fields | own, required=("service", "resources"))


def orchestrator() -> Schema:
    service = {
        "type": {"enum": ["ClusterIP", "LoadBalancer", "NodePort"]},
        "port": PORT,
        "grpcPort": PORT,
        "annotations": ANNOTATIONS,
    }
    return closed(
        {
            "replicas": count(1, 50),
            "settings": settings(OrchestratorSettings),
            "resources": RESOURCES,
            "scratchSize": SIZE,
            "service": closed(service),
            "terminationGracePeriodSeconds": {"type": "integer", "minimum": 20, "maximum": 600},
            "preStopSeconds": count(0, 10),
            "pdb": closed({"enabled": FLAG}),
            "podAnnotations": ANNOTATIONS,
            "nodeSelector": LABELS,
            "tolerations": TOLERATIONS,
            "affinity": OPEN,
            "priorityClassName": NAME,
        }
    )


def triton() -> Schema:
    return closed(
        {
            "enabled": FLAG,
            "registry": REGISTRY,
            "repository": REPOSITORY,
            "tag": TAG,
            "digest": DIGEST,
            "provider": PROVIDER,
            "allowCpu": FLAG,
            "gpuProfile": NAME,
            "replicas": count(1, 100),
            "models": array({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"}),
            "coldStartSeconds": SECONDS,
            "terminationGracePeriodSeconds": {"type": "integer", "minimum": 20, "maximum": 3600},
            "sharedMemory": SIZE,
            "resources": RESOURCES,
        }
    )


def trial() -> Schema:
    server = closed({"enabled": FLAG, "image": TEXT, "password": PASSWORD, "size": SIZE})
    mode = {"enum": ["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"]}
    store = closed(
        {"enabled": FLAG, "size": SIZE, "accessModes": {"type": "array", "items": mode, "minItems": 1}}
    )
    return closed({"postgres": server, "nats": server, "store": store})


def monitoring() -> Schema:
    interval: Schema = {"type": "string", "pattern": "^[1-9][0-9]*(s|m)$"}
    runbook: Schema = {"type": "string", "pattern": "^(https://.+)?$"}
    return closed(
        {
            "podMonitor": closed({"enabled": FLAG, "interval": interval, "labels": LABELS}),
            "prometheusRule": closed({"enabled": FLAG, "labels": LABELS, "runbookUrl": runbook}),
            "dashboards": closed({"enabled": FLAG, "labels": LABELS}),
        }
    )


def models() -> Schema:
    reference = {"type": "string", "pattern": "^(.+@sha256:[0-9a-f]{64})?$"}
    return closed(
        {
            "source": {"enum": ["image", "pvc", "imageVolume", "store"]},
            "existingClaim": NAME,
            "imageReference": reference,
            "catalogSha256": {"type": "string", "pattern": "^([0-9a-f]{64})?$"},
            "fill": closed({"enabled": FLAG, "existingClaim": NAME, "resources": RESOURCES}),
        }
    )


def values() -> Schema:
    targets = dict.fromkeys(("orchestrator", "detector", "embedder", "clusterer", "cpu"), DIGEST)
    profile = {
        "limits": GPU_LIMITS,
        "runtimeClassName": NAME,
        "nodeSelector": LABELS,
        "tolerations": TOLERATIONS,
    }
    url: Schema = {"type": "string", "pattern": "^((s3|gs|az)://[^/].*|file:///.+)?$"}
    endpoint: Schema = {"type": "string", "pattern": "^([A-Za-z0-9.-]+:[0-9]{1,5})?$"}
    worker_name = "^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$"
    extra = {"type": "object", "required": ["apiVersion", "kind"], "additionalProperties": True}
    properties: dict[str, Schema] = {
        "global": closed({"imageRegistry": REGISTRY, "imagePullSecrets": array(NAME)}),
        "nameOverride": NAME,
        "fullnameOverride": NAME,
        "additionalLabels": LABELS,
        "image": closed(
            {
                "registry": REGISTRY,
                "repository": REPOSITORY,
                "tag": TAG,
                "pullPolicy": {"enum": ["IfNotPresent", "Always", "Never"]},
                "digests": closed(targets),
            }
        ),
        "postgres": closed({"existingSecret": NAME, "key": TEXT}),
        "nats": closed({"existingSecret": NAME, "key": TEXT, "monitoringEndpoint": endpoint, "account": TEXT}),
        "store": closed({"url": url, "optionsSecret": NAME, "optionsKey": TEXT, "existingClaim": NAME}),
        "models": models(),
        "migrations": closed(
            {
                "mode": {"enum": ["hook", "job", "initContainer"]},
                "activeDeadlineSeconds": SECONDS,
                "resources": RESOURCES,
            }
        ),
        "serviceAccount": closed({"create": FLAG, "name": NAME, "annotations": ANNOTATIONS}),
        "orchestrator": orchestrator(),
        "gpuProfiles": texts_by("^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$", closed(profile, required=("limits",))),
        "workerDefaults": worker(is_default=True),
        "workers": texts_by(worker_name, worker(is_default=False)) | {"minProperties": 1},
        "triton": triton(),
        "keda": closed({"enabled": FLAG}),
        "ingress": closed(
            {"enabled": FLAG, "className": NAME, "annotations": ANNOTATIONS, "host": NAME, "tlsSecret": NAME}
        ),
        "gateway": closed(
            {
                "enabled": FLAG,
                "parentRefs": array(
                    closed({"name": NAME, "namespace": NAME, "sectionName": NAME}, required=("name",))
                ),
                "hostnames": array(NAME),
            }
        ),
        "networkPolicy": closed(
            {
                "enabled": FLAG,
                "apiFrom": PEERS,
                "metricsFrom": PEERS,
                "kedaFrom": PEERS,
                "dns": EGRESS,
                "postgres": EGRESS,
                "nats": EGRESS,
                "store": EGRESS,
            }
        ),
        "monitoring": monitoring(),
        "test": closed({"timeoutSeconds": SECONDS, "resources": RESOURCES}),
        "trial": trial(),
        "extraObjects": array(extra),
    }
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the screenalytics chart"}
    return copy.deepcopy(head | closed(properties))
