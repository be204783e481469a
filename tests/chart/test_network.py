"""The network policies: everything is denied, and each dependency that a pod is told of is let through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.chart.helm import (
    VALUES,
    Document,
    Rendered,
    containers,
    env_of,
    render,
    rendered,
    values_of,
)

PROTECTED = [name for name in VALUES if values_of(name).get("networkPolicy", {}).get("enabled", True)]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items()


def policies_of(found: Rendered, labels: dict[str, str]) -> list[Document]:
    return [p for p in found.of("NetworkPolicy") if selects(p["spec"]["podSelector"], labels)]


def lets_out(found: Rendered, labels: dict[str, str], port: int) -> bool:
    return any(
        port in {entry["port"] for entry in rule.get("ports", [])}
        for policy in policies_of(found, labels)
        for rule in policy["spec"].get("egress", [])
    )


def lets_in(found: Rendered, to: dict[str, str], port: int, by: dict[str, str]) -> bool:
    """Whether pods labelled `by`, of this namespace, reach the port of pods labelled `to`."""
    return any(
        port in {entry["port"] for entry in rule["ports"]}
        and any(selects(peer.get("podSelector", {"matchLabels": {"no": "pod"}}), by) for peer in rule["from"])
        for policy in policies_of(found, to)
        for rule in policy["spec"].get("ingress", [])
    )


def dependencies(name: str, pod: Document) -> Iterator[tuple[str, int]]:
    """(what, port) of each server that the pod's environment names, under the default ports of the values."""
    values = values_of(name)
    ports = {
        part: values.get("networkPolicy", {}).get(part, {}).get("ports", [default])[0]
        for part, default in (("postgres", 5432), ("nats", 4222), ("store", 443), ("otlp", 4317))
    }
    for container in containers(pod):
        env = env_of(container)
        uses_no_database = "_models" in str(container.get("command"))
        if "SCREENALYTICS_POSTGRES__DSN" in env and not uses_no_database:
            yield "postgres", ports["postgres"]
        if "SCREENALYTICS_NATS__URL" in env:
            yield "nats", ports["nats"]
        if "SCREENALYTICS_TRITON__URL" in env:
            yield "triton", int(env["SCREENALYTICS_TRITON__URL"].rpartition(":")[2])
        if "SCREENALYTICS_TRACES__ENDPOINT" in env:
            yield "otlp", ports["otlp"]
        if "SCREENALYTICS_API__URL" in env:
            yield "api", 8080
        opens_store = "migrate" not in str(container.get("command"))
        if opens_store and not env.get("SCREENALYTICS_STORE__URL", "file:").startswith("file:"):
            yield "store", ports["store"]


PODS = [
    pytest.param(values, pod, id=f"{values}-{name}")
    for values in PROTECTED
    for name, pod in rendered(values).pods()
]


@pytest.mark.parametrize(("values", "pod"), PODS)
def test_every_pod_is_denied_everything_that_is_not_named(values: str, pod: Document) -> None:
    found = policies_of(rendered(values), pod["metadata"]["labels"])
    assert any("egress" not in p["spec"] and "ingress" not in p["spec"] for p in found), "no default deny"
    assert all(policy["spec"]["policyTypes"] == ["Ingress", "Egress"] for policy in found)


@pytest.mark.parametrize(("values", "pod"), PODS)
def test_a_pod_reaches_each_of_its_dependencies_and_dns(values: str, pod: Document) -> None:
    labels = pod["metadata"]["labels"]
    for what, port in [*dependencies(values, pod), ("dns", 53)]:
        assert lets_out(rendered(values), labels, port), what


@pytest.mark.parametrize(("values", "pod"), PODS)
def test_a_pod_reaches_nothing_that_it_is_not_told_of(values: str, pod: Document) -> None:
    allowed = {port for _, port in dependencies(values, pod)} | {53}
    for policy in policies_of(rendered(values), pod["metadata"]["labels"]):
        for rule in policy["spec"].get("egress", []):
            assert {entry["port"] for entry in rule["ports"]} <= allowed, policy["metadata"]["name"]


@pytest.mark.parametrize("values", PROTECTED)
def test_a_server_of_the_release_lets_in_whoever_is_told_of_it(values: str) -> None:
    found = rendered(values)
    labels = {name: pod["metadata"]["labels"] for name, pod in found.pods()}
    by_component = {own["app.kubernetes.io/component"]: own for own in labels.values()}
    servers = {"postgres": "trial-postgres", "nats": "trial-nats", "triton": "triton", "api": "orchestrator"}
    for name, pod in found.pods():
        for what, port in dependencies(values, pod):
            server = by_component.get(servers.get(what, ""))
            if server is not None:
                assert lets_in(found, server, port, labels[name]), (name, what)


def test_only_workers_with_triton_may_call_it() -> None:
    found = rendered("triton-on-cpu")
    labels = {name: pod["metadata"]["labels"] for name, pod in found.pods()}
    triton, own = (
        labels["Deployment/demo-screenalytics-triton"],
        labels["Deployment/demo-screenalytics-detector"],
    )
    assert lets_in(found, triton, 8001, own)
    assert not lets_in(found, triton, 8001, labels["Deployment/demo-screenalytics-embedder"])
    assert not lets_out(found, labels["Deployment/demo-screenalytics-embedder"], 8001)


def test_prometheus_reaches_every_port_that_the_pod_monitor_names() -> None:
    found = rendered("production")
    (monitor,) = found.of("PodMonitor")
    scraped = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
    peer = values_of("production")["networkPolicy"]["metricsFrom"][0]
    for name, pod in found.pods():
        if not name.startswith("Deployment/"):
            continue
        for port in pod["spec"]["containers"][0]["ports"]:
            if port["name"] in scraped:
                rules = [
                    rule
                    for policy in policies_of(found, pod["metadata"]["labels"])
                    for rule in policy["spec"].get("ingress", [])
                ]
                assert any(
                    peer in rule["from"] and {"port": port["containerPort"], "protocol": "TCP"} in rule["ports"]
                    for rule in rules
                ), name


def test_who_may_call_the_api_may_call_it_over_grpc_and_who_scrapes_may_not() -> None:
    policy = rendered("production").get("NetworkPolicy", "demo-screenalytics-orchestrator")
    rules = [rule for rule in policy["spec"]["ingress"] if 9090 in {port["port"] for port in rule["ports"]}]
    assert [rule["from"] for rule in rules] == [values_of("production")["networkPolicy"]["apiFrom"]]


def test_keda_reaches_the_monitoring_that_its_triggers_name() -> None:
    found = rendered("trial-on-gpu")
    endpoint = found.of("ScaledObject")[0]["spec"]["triggers"][0]["metadata"]["natsServerMonitoringEndpoint"]
    host, _, port = endpoint.partition(":")
    service = found.get("Service", host.partition(".")[0])
    assert int(port) in {entry["port"] for entry in service["spec"]["ports"]}
    policy = found.get("NetworkPolicy", "demo-screenalytics-trial-nats")
    assert any(int(port) in {entry["port"] for entry in rule["ports"]} for rule in policy["spec"]["ingress"])


def test_addresses_of_the_operator_narrow_the_way_out() -> None:
    policy = rendered("air-gapped").get("NetworkPolicy", "demo-screenalytics-worker-detector")
    peers = [peer for rule in policy["spec"]["egress"] for peer in rule["to"]]
    assert {"ipBlock": {"cidr": "10.0.20.0/24"}} in peers
    assert {"ipBlock": {"cidr": "10.0.10.0/24"}} not in peers


def test_the_policies_can_be_left_to_others() -> None:
    assert not rendered("models-from-store").of("NetworkPolicy")


def test_the_api_of_the_test_is_the_service_of_the_release() -> None:
    found = render(values_of("claims"))
    pod = next(pod for name, pod in found.pods() if name.startswith("Pod/"))
    url = urlsplit(env_of(pod["spec"]["containers"][0])["SCREENALYTICS_API__URL"])
    service = found.get("Service", str(url.hostname))
    assert url.port == service["spec"]["ports"][0]["port"] == 8443
