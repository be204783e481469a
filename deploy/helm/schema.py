"""The schema of the chart's values. Settings of the services are taken from their classes.

Closed everywhere: a value that is not described here is refused, so that a misspelt one is never ignored.
"""

from __future__ import annotations

import copy

from deploy.helm.service_settings import settings
from deploy.helm.shapes import (
    ANNOTATIONS,
    DIGEST,
    EGRESS,
    FILE_NAME,
    FLAG,
    GPU_LIMITS,
    LABELS,
    NAME,
    OPEN,
    PASSWORD,
    PEERS,
    PORT,
    PROVIDER,
    REGISTRY,
    REPOSITORY,
    RESOURCES,
    SECONDS,
    SIZE,
    TAG,
    TEXT,
    TLS,
    TOLERATIONS,
    Schema,
    array,
    closed,
    count,
    texts_by,
)
from services.detector.settings import DetectorSettings
from services.kit.settings import LogFormat
from services.orchestrator.settings import OrchestratorSettings


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
            "settingsSecret": NAME,
            "resources": RESOURCES,
            "filesSecret": NAME,
            "tls": closed(TLS | {"grpcClientCaConfigMap": NAME}),
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


def gateway() -> Schema:
    parent = closed({"name": NAME, "namespace": NAME, "sectionName": NAME}, required=("name",))
    route: dict[str, Schema] = {"enabled": FLAG, "parentRefs": array(parent), "hostnames": array(NAME)}
    return closed(route | {"grpc": closed(route)})


def traces() -> Schema:
    collector: Schema = {"type": "string", "pattern": r"^(https?://[^/\s]+:[0-9]{1,5})?$"}
    return closed(
        {
            "endpoint": collector,
            "sampleRatio": {"type": "number", "minimum": 0, "maximum": 1},
            "headersSecret": NAME,
            "headersKey": TEXT,
            "caConfigMap": NAME,
            "caKey": FILE_NAME,
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
        "postgres": closed({"existingSecret": NAME, "key": TEXT, "caConfigMap": NAME, "caKey": FILE_NAME}),
        "nats": closed(
            {
                "existingSecret": NAME,
                "key": TEXT,
                "rolesSecret": NAME,
                "clientTlsSecret": NAME,
                "caConfigMap": NAME,
                "caKey": FILE_NAME,
                "monitoringEndpoint": endpoint,
                "account": TEXT,
            }
        ),
        "store": closed({"url": url, "optionsSecret": NAME, "optionsKey": TEXT, "existingClaim": NAME}),
        "models": models(),
        "migrations": closed(
            {
                "mode": {"enum": ["hook", "job", "initContainer"]},
                "activeDeadlineSeconds": SECONDS,
                "resources": RESOURCES,
            }
        ),
        "log": closed({"format": {"enum": [str(one) for one in LogFormat]}}),
        "traces": traces(),
        "serviceAccount": closed({"create": FLAG, "name": NAME, "annotations": ANNOTATIONS}),
        "orchestrator": orchestrator(),
        "workerTls": closed(TLS),
        "gpuProfiles": texts_by("^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$", closed(profile, required=("limits",))),
        "workerDefaults": worker(is_default=True),
        "workers": texts_by(worker_name, worker(is_default=False)) | {"minProperties": 1},
        "triton": triton(),
        "keda": closed({"enabled": FLAG}),
        "ingress": closed(
            {"enabled": FLAG, "className": NAME, "annotations": ANNOTATIONS, "host": NAME, "tlsSecret": NAME}
        ),
        "gateway": gateway(),
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
                "otlp": EGRESS,
                "outbound": closed({"to": PEERS, "ports": array(PORT)}),
            }
        ),
        "monitoring": monitoring(),
        "test": closed({"timeoutSeconds": SECONDS, "keySecret": NAME, "key": TEXT, "resources": RESOURCES}),
        "trial": trial(),
        "extraObjects": array(extra),
    }
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the screenalytics chart"}
    return copy.deepcopy(head | closed(properties))
