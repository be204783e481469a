"""Values that the chart refuses: what it does not know, what contradicts itself, what the cluster lacks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.helm import CHART, MINIMAL, Values, chart, merged, refusal, texts, values_of

DETECTOR = {"workers": {"detector": {}}}
CPU = {"provider": "cpu", "gpuProfile": ""}
TRIAL = {
    "postgres": {"existingSecret": ""},
    "nats": {"existingSecret": ""},
    "migrations": {"mode": "job"},
    "trial": {
        "postgres": {"enabled": True, "password": "abcdefghijkl"},
        "nats": {"enabled": True, "password": "abcdefghijkl"},
    },
}


def worker(**fields: Any) -> Values:
    return {"workers": {"detector": fields}}


def tls(**fields: str) -> Values:
    return {"orchestrator": {"tls": {"existingSecret": "certificate", **fields}}}


ROUTES = {"enabled": True, "parentRefs": [{"name": "edge"}], "grpc": {"enabled": True}}

# What the schema refuses.
UNKNOWN: dict[str, Values] = {
    "a misspelt group": {"orchestrater": {}},
    "a misspelt field": {"orchestrator": {"replica": 2}},
    "a misspelt field of a worker": worker(gpuProfil="gpu"),
    "a misspelt field of scaling": worker(scaling={"max": 3}),
    "an unknown setting": {"orchestrator": {"settings": {"jobs": {"max_attempt": 3}}}},
    "a setting of another service": worker(settings={"jobs": {"max_attempts": 3}}),
    "a setting that the chart makes": worker(settings={"inference": {"provider": "cpu"}}),
    "a setting out of range": {"orchestrator": {"settings": {"postgres": {"pool_size": 1}}}},
    "a log level that is none": {"orchestrator": {"settings": {"log": {"level": "LOUD"}}}},
    "a log format that is none": {"log": {"format": "xml"}},
    "a collector without a scheme": {"traces": {"endpoint": "collector:4317"}},
    "more than every trace": {"traces": {"sampleRatio": 2}},
    "a provider that is none": worker(provider="gpu"),
    "a runtime that is none": worker(runtime="openvino"),
    "a service that is none": {"workers": {"finder": {"service": "finder"}}},
    "a worker without resources": {"workers": {"spare": {"service": "detector", "gpuProfile": "gpu"}}},
    "a worker without limits": {
        "workers": {"spare": {"service": "detector", "resources": {"requests": {"cpu": 1, "memory": "1Gi"}}}}
    },
    "a worker's name that no object may have": {
        "workers": {"Big_One": {"service": "detector", "resources": {}}}
    },
    "no replicas of the orchestrator": {"orchestrator": {"replicas": 0}},
    "a limit that is no quantity": worker(resources={"limits": {"memory": "much"}}),
    "a GPU resource that is none": {"gpuProfiles": {"gpu": {"limits": {"nvidia.com/gpus": 1}}}},
    "a GPU profile without a limit": {"gpuProfiles": {"none": {"limits": {}}}},
    "half a GPU": {"gpuProfiles": {"gpu": {"limits": {"nvidia.com/gpu": 0.5}}}},
    "a digest that is none": {"image": {"digests": {"detector": "latest"}}},
    "a digest of an image that is none": {"image": {"digests": {"console": "sha256:" + "0" * 64}}},
    "a model image by tag": {"models": {"source": "imageVolume", "imageReference": "models:1"}},
    "a store of another kind": {"store": {"url": "http://store/bucket"}},
    "a migration mode that is none": {"migrations": {"mode": "never"}},
    "a short trial password": {"trial": {"nats": {"password": "short"}}},
    "a trial password that a URL would cut": {"trial": {"nats": {"password": "with/a@slash:in"}}},
    "a runbook address in plain HTTP": {"monitoring": {"prometheusRule": {"runbookUrl": "http://x"}}},
    "a network peer that is none": {"networkPolicy": {"apiFrom": [{"service": "x"}]}},
    "an egress without ports": {"networkPolicy": {"store": {"ports": []}}},
    "a grace too short to drain": worker(terminationGracePeriodSeconds=30),
    "a toleration that is none": worker(tolerations=[{"key": "a", "op": "Exists"}]),
    "an extra object without a kind": {"extraObjects": [{"apiVersion": "v1"}]},
    "the TLS of a worker as a bare setting": worker(settings={"health": {"tls_key_file": "/somewhere.pem"}}),
    "the TLS of a listener as a bare setting": {
        "orchestrator": {"settings": {"http": {"tls_cert_file": "/somewhere.pem"}}}
    },
    "a monitoring endpoint with a scheme": {"nats": {"monitoringEndpoint": "http://nats:8222"}},
}

# What a template refuses, with words of its sentence.
CONTRADICTORY: dict[str, tuple[Values, str]] = {
    "the CPU by accident": (worker(**CPU), "The CPU is a choice: set workers.detector.allowCpu to true"),
    "a GPU without a profile": (worker(gpuProfile=""), "demands a GPU and names no gpuProfile"),
    "a profile that is none": (worker(gpuProfile="big"), "is no entry of gpuProfiles (gpu)"),
    "the CPU with a GPU": (worker(provider="cpu", allowCpu=True), "runs on the CPU and names the gpuProfile"),
    "a fallback from the CPU to the CPU": (
        worker(**CPU, allowCpu=True, allowCpuFallback=True),
        "allowCpuFallback means nothing",
    ),
    "Triton that is not there": (worker(runtime="triton", gpuProfile=""), "triton.enabled is false"),
    "a GPU beside Triton's": (
        worker(runtime="triton") | {"triton": {"enabled": True, "tag": "x", "gpuProfile": "gpu"}},
        "the GPU is Triton's",
    ),
    "a Triton elsewhere": (
        worker(runtime="triton", gpuProfile="")
        | {"triton": {"enabled": True, "tag": "x", "provider": "cpu", "allowCpu": True}},
        "of a Triton that runs on cpu",
    ),
    "a Triton of any release": ({"triton": {"enabled": True, "gpuProfile": "gpu"}}, "must fit your driver"),
    "a Triton without a GPU": ({"triton": {"enabled": True, "tag": "x"}}, "triton demands a GPU"),
    "a Triton with an unknown profile": (
        {"triton": {"enabled": True, "tag": "x", "gpuProfile": "big"}},
        "which is no entry of gpuProfiles",
    ),
    "a Triton on the CPU by accident": (
        {"triton": {"enabled": True, "tag": "x", "provider": "cpu"}},
        "set triton.allowCpu",
    ),
    "a Triton on the CPU with a GPU": (
        {"triton": {"enabled": True, "tag": "x", "provider": "cpu", "allowCpu": True, "gpuProfile": "gpu"}},
        "runs on the CPU and names a gpuProfile",
    ),
    "no Postgres": ({"postgres": {"existingSecret": ""}}, "postgres.existingSecret is empty"),
    "two of Postgres": (
        {"migrations": {"mode": "job"}, "trial": {"postgres": TRIAL["trial"]["postgres"]}},
        "Both postgres.existingSecret and trial.postgres.enabled",
    ),
    "no NATS": ({"nats": {"existingSecret": ""}}, "nats.existingSecret is empty"),
    "two of NATS": ({"trial": {"nats": TRIAL["trial"]["nats"]}}, "Both nats.existingSecret and trial.nats"),
    "no store": ({"store": {"url": ""}}, "store.url is empty"),
    "two stores": ({"trial": {"store": {"enabled": True}}}, "Both store.url and trial.store.enabled"),
    "a folder without a claim": ({"store": {"url": "file:///data"}}, "name the claim that holds it"),
    "a claim without a folder": ({"store": {"existingClaim": "data"}}, "is for a store.url of file:///dir"),
    "a trial server without a password": (
        merged(TRIAL, {"trial": {"postgres": {"password": ""}}}),
        "needs trial.postgres.password",
    ),
    "a hook before its own database": (merged(TRIAL, {"migrations": {"mode": "hook"}}), "cannot reach it"),
    "models of no claim": ({"models": {"source": "pvc"}}, "needs models.existingClaim"),
    "models of no image": ({"models": {"source": "imageVolume"}}, "needs models.imageReference"),
    "a fill of nothing": ({"models": {"fill": {"enabled": True}}}, "set models.source to store"),
    "a fill from nowhere": (
        {"models": {"source": "store", "fill": {"enabled": True}}},
        "needs models.fill.existingClaim",
    ),
    "KEDA that cannot see": ({"keda": {"enabled": True}}, "needs nats.monitoringEndpoint"),
    "a cooldown within the cold start": (
        merged(
            worker(coldStartSeconds=700), {"keda": {"enabled": True}, "nats": {"monitoringEndpoint": "n:1"}}
        ),
        "must be above coldStartSeconds (700)",
    ),
    "more at least than at most": (
        merged(
            worker(scaling={"minReplicas": 5}),
            {"keda": {"enabled": True}, "nats": {"monitoringEndpoint": "n:1"}},
        ),
        "minReplicas is above maxReplicas",
    ),
    "a fallback above the most": (
        merged(
            worker(scaling={"fallbackReplicas": 5}),
            {"keda": {"enabled": True}, "nats": {"monitoringEndpoint": "n:1"}},
        ),
        "fallbackReplicas is above maxReplicas",
    ),
    "an ingress without a host": ({"ingress": {"enabled": True}}, "needs ingress.host"),
    "a route without a gateway": ({"gateway": {"enabled": True}}, "needs gateway.parentRefs"),
    "a gRPC route without the other": (
        {"gateway": {"grpc": {"enabled": True}}},
        "adds to what gateway.enabled makes",
    ),
    "two routes for every host": (
        {"gateway": ROUTES},
        "A listener accepts no host name for HTTP and gRPC both",
    ),
    "two routes for one host": (
        {
            "gateway": merged(
                ROUTES, {"hostnames": ["a.example.com"], "grpc": {"hostnames": ["b.example", "a.example.com"]}}
            )
        },
        "a.example.com stands in gateway.hostnames and in gateway.grpc.hostnames",
    ),
    "an authority of no certificate": (
        {"orchestrator": {"tls": {"caConfigMap": "authorities"}}},
        "set orchestrator.tls.existingSecret",
    ),
    "an authority of no certificate of workers": (
        {"workerTls": {"caConfigMap": "authorities"}},
        "set workerTls.existingSecret",
    ),
    "the API's key for every worker": (
        tls() | {"workerTls": {"existingSecret": "certificate"}},
        "every worker could pass for the API",
    ),
    "two services on one port": (
        {"orchestrator": {"service": {"port": 9090}}},
        "a Service needs two ports",
    ),
    "a collector that is cut off": (
        {"traces": {"endpoint": "https://traces.example.com:443"}},
        "add 443 to networkPolicy.otlp.ports",
    ),
    "sources that are cut off": (
        {"orchestrator": {"settings": {"outbound": {"ports": [8443]}}}},
        "cut off port 8443 of orchestrator.settings.outbound.ports",
    ),
    "an issuer that is cut off": (
        {"orchestrator": {"settings": {"oidc": {"jwks_url": "https://login.example.com/keys"}}}},
        "cut off the issuer",
    ),
    "an authority that a Gateway cannot read": (
        tls(caConfigMap="own", caKey="own.pem") | {"gateway": {**ROUTES, "grpc": {}}},
        "set orchestrator.tls.caKey to ca.crt",
    ),
    "a gRPC route without a certificate": (
        tls(grpcClientCaConfigMap="clients")
        | {"gateway": merged(ROUTES, {"grpc": {"parentRefs": [{"name": "other"}]}})},
        "a GRPCRoute presents no certificate",
    ),
    "an ingress that is kept out": (
        {"ingress": {"enabled": True, "host": "a.example.com"}},
        "keep the ingress out",
    ),
    "a Prometheus that is kept out": ({"monitoring": {"podMonitor": {"enabled": True}}}, "keep Prometheus out"),
    "a KEDA that is kept out": (merged(TRIAL, {"keda": {"enabled": True}}), "keep KEDA out"),
}

WITHOUT_CRDS: dict[str, tuple[Values, str]] = {
    "KEDA": ({"keda": {"enabled": True}}, "keda.enabled is true, and this cluster does not know keda.sh"),
    "PodMonitor": ({"monitoring": {"podMonitor": {"enabled": True}}}, "the CRDs of the Prometheus operator"),
    "PrometheusRule": (
        {"monitoring": {"prometheusRule": {"enabled": True}}},
        "the CRDs of the Prometheus operator",
    ),
    "Gateway API": ({"gateway": {"enabled": True}}, "the CRDs of Gateway API"),
}
OLD_GATEWAY_API: dict[str, tuple[Values, str]] = {
    "GRPCRoute": ({"gateway": ROUTES}, "the CRDs of Gateway API, 1.1 or later"),
    "BackendTLSPolicy": (
        {"gateway": {**ROUTES, "grpc": {}}} | tls(),
        "the CRDs of Gateway API, 1.4 or later",
    ),
}


def test_what_the_bad_values_are_merged_into_is_accepted() -> None:
    assert texts(MINIMAL)
    assert texts(merged(MINIMAL, TRIAL))


@pytest.mark.parametrize("values", UNKNOWN.values(), ids=UNKNOWN)
def test_what_the_schema_does_not_know_is_refused(values: Values) -> None:
    assert "values don't meet the specifications of the schema" in refusal(merged(MINIMAL, values))


@pytest.mark.parametrize(("values", "sentence"), CONTRADICTORY.values(), ids=CONTRADICTORY)
def test_a_contradiction_is_refused_with_a_sentence(values: Values, sentence: str) -> None:
    assert sentence in refusal(merged(MINIMAL, values))


@pytest.mark.parametrize(("values", "sentence"), WITHOUT_CRDS.values(), ids=WITHOUT_CRDS)
def test_what_needs_crds_is_refused_where_they_are_missing(values: Values, sentence: str) -> None:
    assert sentence in refusal(merged(MINIMAL, values), apis=())


@pytest.mark.parametrize(("values", "sentence"), OLD_GATEWAY_API.values(), ids=OLD_GATEWAY_API)
def test_what_needs_a_younger_gateway_api_is_refused(values: Values, sentence: str) -> None:
    assert sentence in refusal(merged(MINIMAL, values), apis=("gateway.networking.k8s.io/v1",))


def test_an_image_volume_is_refused_where_kubernetes_is_too_old() -> None:
    assert "needs Kubernetes 1.33" in refusal(values_of("production"), kubernetes="1.32.4")


def test_the_defaults_alone_say_what_is_missing() -> None:
    assert "postgres.existingSecret is empty" in refusal({})


def test_every_sentence_of_a_template_is_provoked() -> None:
    wanted = sum(path.read_text().count("{{- fail ") for path in (CHART / "templates").glob("*.tpl"))
    servers = 1  # one sentence in a loop over both trial servers
    assert len(CONTRADICTORY) + 1 + 1 >= wanted - servers


def _objects(schema: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    if isinstance(schema, list):
        return [found for part in schema for found in _objects(part, path)]
    if not isinstance(schema, dict):
        return []
    own = [(path, schema)] if schema.get("type") == "object" else []
    return own + [found for key, part in schema.items() for found in _objects(part, f"{path}/{key}")]


def test_every_object_of_the_schema_is_closed() -> None:
    schema = chart().schema
    objects = _objects(schema)
    assert len(objects) > 80
    open_ones = {path for path, schema in objects if schema.get("additionalProperties") is not False}
    # The API server checks these; a copy of its schema would only grow old.
    assert {path.rpartition("/")[2] for path in open_ones} == {"affinity", "items"}
    assert [path for path in open_ones if path.endswith("/items")] == ["/properties/extraObjects/items"]
