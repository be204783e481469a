"""The rendered commands, run as plain processes, are a working system that passes the chart's own test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from services.local.nats import EmbeddedNats
from services.local.ports import LOOPBACK
from services.local.postgres import EmbeddedPostgres
from tests.chart.helm import Document, Rendered, merged, render, values_of
from tests.chart.machine import Machine
from tests.chart.prometheus import prometheus
from tests.chart.test_alerts import RULES
from tests.chart.test_dashboards import ALL, OTHERS, UNSEEN, series_in
from tests.otlp import Receiver, receiving

# The trial servers' images are others'; everything of ours runs, with models by way of the store.
VALUES = merged(
    values_of("cpu-only"),
    {
        "models": {"source": "store", "fill": {"enabled": True, "existingClaim": "models"}},
        "workerDefaults": {"settings": {"log": {"level": "INFO"}}},
        "traces": {"endpoint": "http://collector:4317"},
        "monitoring": {"podMonitor": {"enabled": True}},
        "networkPolicy": {"metricsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]},
    },
)
BY_TLS = merged(
    VALUES,
    {
        "orchestrator": {
            "tls": {"existingSecret": "api-tls", "caConfigMap": "authority"},
            "service": {"port": 443},
        },
        "workerTls": {"existingSecret": "worker-tls", "caConfigMap": "authority"},
    },
)
# Secret -> the name that its certificate is checked for, where values name none.
SERVER_NAMES = {
    "api-tls": "demo-screenalytics-orchestrator.media.svc",
    "worker-tls": "demo-screenalytics-workers.media.svc",
}
TRIAL = "demo-screenalytics-trial"


def pods_of(rendered: Rendered, kind: str) -> dict[str, Document]:
    return {name: pod for name, pod in rendered.pods() if name.startswith(f"{kind}/")}


@pytest.fixture
def collector() -> Iterator[tuple[Receiver, int]]:
    with receiving() as (receiver, port):
        yield receiver, port


def certificates() -> tuple[dict[tuple[str, str], str], str]:
    """(what stands in Secrets of the type kubernetes.io/tls, the certificate of their authority)."""
    authority = trustme.CA()
    secrets = {}
    for secret, server_name in SERVER_NAMES.items():
        made = authority.issue_cert(server_name)
        secrets[secret, "tls.crt"] = "".join(pem.bytes().decode() for pem in made.cert_chain_pems)
        secrets[secret, "tls.key"] = made.private_key_pem.bytes().decode()
    return secrets, authority.cert_pem.bytes().decode()


@pytest.fixture
def machine(
    tmp_path: Path, models_dir: Path, collector: tuple[Receiver, int], request: pytest.FixtureRequest
) -> Iterator[Machine]:
    """Speaks plain text, unless a test asks for `BY_TLS`."""
    pairs, authority = certificates()
    with (
        EmbeddedPostgres.running(tmp_path / "postgres") as postgres,
        EmbeddedNats.running(tmp_path / "nats") as nats,
    ):
        (tmp_path / "store").mkdir()
        made = Machine(
            rendered=render(getattr(request, "param", VALUES)),
            root=tmp_path,
            secrets={
                (f"{TRIAL}-postgres", "dsn"): postgres.dsn,
                (f"{TRIAL}-nats", "url"): nats.url,
                **pairs,
            },
            config_maps={("authority", "ca.crt"): authority},
            claims={f"{TRIAL}-store": tmp_path / "store", "models": models_dir},
            addresses={"collector:4317": f"{LOOPBACK}:{collector[1]}"},
        )
        try:
            yield made
        finally:
            made.kill()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("machine", [BY_TLS], ids=["tls"], indirect=True)
def test_the_rendered_commands_are_a_system_that_passes_the_charts_own_test(
    machine: Machine, collector: tuple[Receiver, int]
) -> None:
    rendered, wait = machine.rendered, threading.Event().wait
    for name, pod in pods_of(rendered, "Job").items():
        machine.run(name, pod, pod["spec"]["containers"][0])
    deployments = pods_of(rendered, "Deployment")
    for name, pod in sorted(deployments.items(), reverse=True):  # the orchestrator before its workers
        machine.start(name, pod)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        for name, pod in deployments.items():
            machine.await_probe(name, pod, probe, wait)
    name = "Deployment/demo-screenalytics-orchestrator"
    service = rendered.get("Service", "demo-screenalytics-orchestrator")
    machine.serve_service(service, name, deployments[name])
    ((test, pod),) = pods_of(rendered, "Pod").items()
    said = machine.run(test, pod, pod["spec"]["containers"][0])
    assert "every stage ran on cpu; 2 identities" in said
    with prometheus(machine.scrape_jobs(), machine.root, RULES) as scraping:
        assert "screenalytics_gpu_busy_seconds_total" in scraping.names(wait)  # a worker's, declared even at 0
        shown, exported = {name for text in ALL for name in series_in(text)}, scraping.names(wait)
        assert shown - set(OTHERS) - exported == set(), "a panel names what the running system does not export"
        assert exported - shown - set(UNSEEN) == set(), "a series stands neither on a panel nor in the list"
        assert scraping.rule_faults(wait) == {}
        traces = scraping.traces_of("screenalytics_worker_task_duration_seconds_bucket")
        assert traces
        collector[0].until(lambda spans: traces <= {span.trace_id for span in spans})
        faults = {text: fault for text in ALL if (fault := scraping.fault(text)) is not None}
        assert faults == {}
    assert machine.stop() == dict.fromkeys(deployments, 0)


def test_the_charts_test_fails_where_no_worker_takes_the_episode(machine: Machine) -> None:
    rendered, wait = machine.rendered, threading.Event().wait
    for name, pod in pods_of(rendered, "Job").items():
        if "migrations" in name:
            machine.run(name, pod, pod["spec"]["containers"][0])
    name = "Deployment/demo-screenalytics-orchestrator"
    pod = pods_of(rendered, "Deployment")[name]
    machine.start(name, pod)
    machine.await_probe(name, pod, "readinessProbe", wait)
    machine.serve_service(rendered.get("Service", "demo-screenalytics-orchestrator"), name, pod)
    ((test, test_pod),) = pods_of(rendered, "Pod").items()
    (container,) = test_pod["spec"]["containers"]
    for entry in container["env"]:
        if entry["name"] == "TEST_TIMEOUT_S":
            entry["value"] = "2"
    with pytest.raises(AssertionError, match="was not done within 2 s; waiting for"):
        machine.run(test, test_pod, container)


def test_the_repository_that_the_chart_makes_for_triton_names_where_each_model_runs(
    tmp_path: Path, models_dir: Path
) -> None:
    values = merged(
        values_of("triton-on-cpu"),
        {
            "store": {"url": "file:///store", "existingClaim": "store"},
            "models": {"catalogSha256": "", "fill": {"enabled": True, "existingClaim": "models"}},
        },
    )
    (tmp_path / "store").mkdir()
    machine = Machine(
        rendered=render(values),
        root=tmp_path,
        secrets={("pg", "dsn"): "postgresql://unused"},
        claims={"store": tmp_path / "store", "models": models_dir},
    )
    for name, pod in pods_of(machine.rendered, "Job").items():
        if "fill" in name:
            machine.run(name, pod, pod["spec"]["containers"][0])
    name = "Deployment/demo-screenalytics-triton"
    pod = pods_of(machine.rendered, "Deployment")[name]
    for container in pod["spec"]["initContainers"]:
        machine.run(name, pod, container)
    (repository,) = tmp_path.glob("volumes/*/repository")
    configs = {path.parent.name: path.read_text() for path in repository.glob("*/config.pbtxt")}
    assert set(configs) == set(values["triton"]["models"])
    for model, config in configs.items():
        assert "kind: KIND_CPU" in config, model
        assert (repository / model / "1" / "model.onnx").is_file()
