"""With a certificate, a listener speaks TLS alone, and everybody who calls it in the cluster does and checks it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.helm import (
    VALUES,
    Document,
    Rendered,
    containers,
    env_of,
    rendered,
    texts,
    values_of,
)

BY_TLS = [name for name in VALUES if values_of(name).get("orchestrator", {}).get("tls")]
PLAIN = [name for name in VALUES if name not in BY_TLS]
NAMES = {
    "everything": "faces.example.com",
    "gateway": "demo-screenalytics-orchestrator.media.svc",
    "production": "demo-screenalytics-orchestrator.media.svc",
}


def orchestrator(found: Rendered) -> Document:
    """The pod's specification."""
    return next(pod for name, pod in found.pods() if name.endswith("-orchestrator"))["spec"]


def probes(container: Document) -> list[dict[str, Any]]:
    return [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]


def service(found: Rendered) -> dict[str, str]:
    (own,) = [d for d in found.of("Service") if d["metadata"]["name"].endswith("-orchestrator")]
    return {port["name"]: port["appProtocol"] for port in own["spec"]["ports"]}


def caller(found: Rendered) -> tuple[Document, dict[str, Any]]:
    """The pod of `helm test`, and its environment."""
    pod = next(pod for name, pod in found.pods() if name.startswith("Pod/"))
    return pod["spec"], env_of(pod["spec"]["containers"][0])


def test_there_are_values_with_and_without_a_certificate() -> None:
    assert set(BY_TLS) == set(NAMES)
    assert PLAIN


@pytest.mark.parametrize("name", BY_TLS)
def test_both_listeners_read_the_certificate_of_the_secret(name: str) -> None:
    spec = orchestrator(rendered(name))
    (container,) = spec["containers"]
    (volume,) = [v for v in spec["volumes"] if v["name"] == "listener-tls"]
    (mount,) = [m for m in container["volumeMounts"] if m["name"] == "listener-tls"]
    tls = values_of(name)["orchestrator"]["tls"]
    assert volume["secret"] == {"secretName": tls["existingSecret"], "defaultMode": 0o440}
    assert mount["readOnly"] is True
    for group in ("HTTP", "GRPC"):
        for field, key in (("CERT", "tls.crt"), ("KEY", "tls.key")):
            path = env_of(container)[f"SCREENALYTICS_{group}__TLS_{field}_FILE"]
            assert path == f"{mount['mountPath']}/{key}"


@pytest.mark.parametrize("name", BY_TLS)
def test_only_the_orchestrator_is_given_the_key(name: str) -> None:
    secret = values_of(name)["orchestrator"]["tls"]["existingSecret"]
    holders = {
        pod_name
        for pod_name, pod in rendered(name).pods()
        for volume in pod["spec"].get("volumes", [])
        if volume.get("secret", {}).get("secretName") == secret
    }
    assert {holder.rpartition("-")[2] for holder in holders} == {"orchestrator"}


@pytest.mark.parametrize("name", VALUES)
def test_probes_and_the_service_speak_as_the_listeners_do(name: str) -> None:
    is_tls = name in BY_TLS
    (container,) = orchestrator(rendered(name))["containers"]
    assert {probe["scheme"] for probe in probes(container)} == {"HTTPS" if is_tls else "HTTP"}
    assert service(rendered(name)) == {
        "http": "https" if is_tls else "http",
        "grpc": "https" if is_tls else "kubernetes.io/h2c",
    }


@pytest.mark.parametrize("name", VALUES)
def test_helm_test_calls_by_tls_and_checks_the_certificate_for_its_name(name: str) -> None:
    spec, env = caller(rendered(name))
    assert env["SCREENALYTICS_API__URL"].startswith("https://" if name in BY_TLS else "http://")
    assert env.get("TEST_SERVER_NAME") == NAMES.get(name)
    tls = values_of(name).get("orchestrator", {}).get("tls", {})
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert ("api-ca" in volumes) is ("SCREENALYTICS_CLIENT__CA_FILE" in env) is ("caConfigMap" in tls)
    if "caConfigMap" in tls:
        assert volumes["api-ca"]["configMap"] == {"name": tls["caConfigMap"]}
        assert env["SCREENALYTICS_CLIENT__CA_FILE"] == f"/api-ca/{tls.get('caKey', 'ca.crt')}"


@pytest.mark.parametrize("name", [n for n in VALUES if rendered(n).of("PodMonitor")])
def test_prometheus_scrapes_as_each_listener_speaks(name: str) -> None:
    (monitor,) = rendered(name).of("PodMonitor")
    ends = {end["port"]: end for end in monitor["spec"]["podMetricsEndpoints"]}
    assert "scheme" not in ends["metrics"], "Triton's"
    values = values_of(name)
    for port, tls, server_name in (
        ("http", values.get("orchestrator", {}).get("tls"), NAMES.get(name)),
        ("health", values.get("workerTls"), "workers.example.com"),
    ):
        if tls is None:
            assert not {"scheme", "tlsConfig"} & set(ends[port])
        else:
            authority = {"name": tls["caConfigMap"], "key": tls.get("caKey", "ca.crt")}
            assert ends[port]["scheme"] == "https"
            assert ends[port]["tlsConfig"] == {"serverName": server_name, "ca": {"configMap": authority}}


@pytest.mark.parametrize("name", VALUES)
def test_workers_are_probed_by_tls_where_they_have_a_certificate(name: str) -> None:
    tls = values_of(name).get("workerTls")
    for _, pod in rendered(name).pods():
        for container in pod["spec"]["containers"]:
            if container["name"] == "worker":
                env = env_of(container)
                assert {probe["scheme"] for probe in probes(container)} == {"HTTPS" if tls else "HTTP"}
                assert env.get("SCREENALYTICS_HEALTH__TLS_KEY_FILE") == (tls and "/listener-tls/tls.key")
                secrets = {v["secret"]["secretName"] for v in pod["spec"]["volumes"] if "secret" in v}
                assert (tls or {}).get("existingSecret") in {*secrets, None}


@pytest.mark.parametrize("name", BY_TLS)
def test_the_notes_call_by_the_name_of_the_certificate(name: str) -> None:
    notes = next(text for path, text in texts(values_of(name)).items() if path.endswith("NOTES.txt"))
    assert f"https://{NAMES[name]}:8080/v1/workers" in notes
    assert ("--cacert" in notes) is ("caConfigMap" in values_of(name)["orchestrator"]["tls"])


def test_grpc_alone_asks_clients_for_a_certificate_where_that_is_wanted() -> None:
    asked = {}
    for name in VALUES:
        spec = orchestrator(rendered(name))
        env = env_of(spec["containers"][0])
        assert "SCREENALYTICS_HTTP__TLS_CLIENT_CA_FILE" not in env, "a probe has no certificate"
        asked[name] = env.get("SCREENALYTICS_GRPC__TLS_CLIENT_CA_FILE")
        for container in containers({"spec": spec}):
            mounts = {m["mountPath"] for m in container["volumeMounts"] if m["name"] == "client-ca"}
            assert bool(mounts) is (container["name"] == "orchestrator" and asked[name] is not None)
    assert {name: path for name, path in asked.items() if path} == {"everything": "/client-ca/ca.crt"}


def test_a_gateway_speaks_tls_to_the_service_and_checks_it() -> None:
    (policy,) = rendered("everything").of("BackendTLSPolicy")
    (target,) = policy["spec"]["targetRefs"]
    assert (target["kind"], target["name"]) == ("Service", "demo-faces-orchestrator")
    assert policy["spec"]["validation"] == {
        "hostname": "faces.example.com",
        "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "authorities"}],
    }
    (public,) = rendered("gateway").of("BackendTLSPolicy")
    assert public["spec"]["validation"]["wellKnownCACertificates"] == "System"


def test_a_route_leads_to_each_port_of_the_service() -> None:
    found = rendered("gateway")
    ports = {p["name"]: p["port"] for d in found.of("Service") for p in d["spec"]["ports"]}
    for kind, port in (("HTTPRoute", "http"), ("GRPCRoute", "grpc")):
        (route,) = found.of(kind)
        (backend,) = route["spec"]["rules"][0]["backendRefs"]
        assert backend == {"name": "demo-screenalytics-orchestrator", "port": ports[port]}
    (http,), (grpc,) = found.of("HTTPRoute"), found.of("GRPCRoute")
    assert http["spec"]["parentRefs"] == grpc["spec"]["parentRefs"]
    assert not set(http["spec"]["hostnames"]) & set(grpc["spec"]["hostnames"])
