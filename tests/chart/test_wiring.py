"""Names and numbers of the chart are those of the code: settings, ports, streams, consumers, routes."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import yaml

from bench import triton_server
from deploy.helm.service_settings import MADE_BY_THE_CHART
from services.clusterer.settings import ClustererSettings
from services.detector.settings import DetectorSettings
from services.embedder.settings import EmbedderSettings
from services.kit import bus
from services.kit.bus_permissions import ROLES
from services.kit.settings import env_name
from services.kit.stages import STAGE_ORDER
from services.orchestrator.settings import OrchestratorSettings
from tests.chart.helm import (
    MINIMAL,
    VALUES,
    Document,
    containers,
    env_of,
    is_ours,
    merged,
    render,
    rendered,
    values_of,
)
from tests.conftest import skip_or_fail
from tests.contract.test_settings_names import leaves

CLASSES = {
    "orchestrator": OrchestratorSettings,
    "detector": DetectorSettings,
    "embedder": EmbedderSettings,
    "clusterer": ClustererSettings,
}
STAGE_OF = dict(zip(("detector", "embedder", "clusterer"), STAGE_ORDER, strict=True))
OUR_CONTAINERS = [
    pytest.param(container, id=f"{values}-{name}-{container['name']}")
    for values in VALUES
    for name, pod in rendered(values).pods()
    for container in containers(pod)
    if is_ours(container) and container["command"][2] != "services.cli"
]


def service_of(container: Document) -> str:
    return str(container["command"][2].split(".")[1])


def workers(values: str) -> dict[str, tuple[Document, Document]]:
    """name -> (Deployment, container) of each worker."""
    found = {}
    for deployment in rendered(values).of("Deployment"):
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        if container["name"] == "worker":
            component = deployment["metadata"]["labels"]["app.kubernetes.io/component"]
            found[component.removeprefix("worker-")] = deployment, container
    return found


@pytest.mark.parametrize("container", OUR_CONTAINERS)
def test_every_environment_name_is_a_setting_of_the_service(container: Document) -> None:
    fields = {env_name(group, field) for group, field, _ in leaves(CLASSES[service_of(container)])}
    names = {name for name in env_of(container) if name.startswith("SCREENALYTICS_")}
    assert names
    assert names <= fields


@pytest.mark.parametrize("container", OUR_CONTAINERS)
def test_every_required_setting_is_given(container: Document) -> None:
    needed = {"SCREENALYTICS_STORE__URL"}
    if service_of(container) == "orchestrator":
        needed |= {"SCREENALYTICS_POSTGRES__DSN"}
    assert needed <= set(env_of(container))


@pytest.mark.parametrize("container", OUR_CONTAINERS)
def test_the_settings_class_reads_what_the_chart_renders(
    container: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "SCREENALYTICS_POSTGRES__DSN": "postgresql://x",
        "SCREENALYTICS_NATS__URL": "nats://x",
        "SCREENALYTICS_NATS__PASSWORD": "x",
        "SCREENALYTICS_STORE__OPTIONS": "{}",
        "SCREENALYTICS_THREADS__MAX_CPU": "2",
        "SCREENALYTICS_TRACES__HEADERS": "{}",
    }
    for name, value in env_of(container).items():
        monkeypatch.setenv(name, value if isinstance(value, str) else secrets[name])
    assert CLASSES[service_of(container)]().store.url == env_of(container)["SCREENALYTICS_STORE__URL"]


def test_what_the_chart_makes_itself_are_settings_that_it_renders() -> None:
    known = {(group, field) for cls in CLASSES.values() for group, field, _ in leaves(cls)}
    made = {env_name(*pair) for pair in MADE_BY_THE_CHART & known}
    given = {
        name
        for values in VALUES
        for _, pod in rendered(values).pods()
        for c in containers(pod)
        for name in env_of(c)
    }
    assert made - given == {
        env_name("media", "allow_local_paths"),  # off, and no cluster turns it on
        env_name("health", "tls_client_ca_file"),  # probes have no certificate
        env_name("http", "tls_client_ca_file"),
    }


@pytest.mark.parametrize("values", VALUES)
def test_the_thread_cap_is_the_containers_own_cpu_limit(values: str) -> None:
    for _, container in workers(values).values():
        cap = env_of(container)["SCREENALYTICS_THREADS__MAX_CPU"]
        assert cap == {
            "resourceFieldRef": {"containerName": "worker", "resource": "limits.cpu", "divisor": "1"}
        }


@pytest.mark.parametrize("values", VALUES)
def test_the_declared_routes_are_those_of_the_worker_map(values: str) -> None:
    expected = {
        f"{STAGE_OF[service_of(container)]}/{env_of(container)['SCREENALYTICS_INFERENCE__PROVIDER']}"
        for _, container in workers(values).values()
    }
    (orchestrator,) = [
        d for d in rendered(values).of("Deployment") if d["metadata"]["name"].endswith("-orchestrator")
    ]
    declared = env_of(orchestrator["spec"]["template"]["spec"]["containers"][0])[
        "SCREENALYTICS_ROUTES__DECLARED"
    ]
    assert json.loads(declared) == sorted(expected)


@pytest.mark.parametrize("values", VALUES)
def test_ports_are_those_of_the_settings(values: str) -> None:
    for _, container in workers(values).values():
        assert container["ports"][0]["containerPort"] == DetectorSettings.model_fields["health"].default.port
        assert env_of(container)["SCREENALYTICS_HEALTH__PORT"] == str(container["ports"][0]["containerPort"])
    for service in rendered(values).of("Service"):
        if service["metadata"]["name"].endswith("-orchestrator"):
            assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http", "grpc"]


def test_the_default_ports_of_the_code_are_those_of_the_containers() -> None:
    ports = {
        port["name"]: port["containerPort"]
        for _, pod in rendered("minimal").pods()
        for container in containers(pod)
        for port in container.get("ports", [])
    }
    assert ports["http"] == OrchestratorSettings.model_fields["http"].default.port
    assert ports["grpc"] == OrchestratorSettings.model_fields["grpc"].default.port
    assert ports["health"] == DetectorSettings.model_fields["health"].default.port


@pytest.mark.parametrize("values", [v for v in VALUES if values_of(v).get("keda", {}).get("enabled")])
def test_each_scaler_looks_at_the_stream_and_the_consumer_of_its_worker(values: str) -> None:
    found = workers(values)
    scaled = rendered(values).of("ScaledObject")
    assert scaled
    for document in scaled:
        name = document["metadata"]["labels"]["app.kubernetes.io/component"].removeprefix("worker-")
        deployment, container = found[name]
        assert document["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
        (trigger,) = document["spec"]["triggers"]
        provider = env_of(container)["SCREENALYTICS_INFERENCE__PROVIDER"]
        assert trigger["metadata"]["stream"] == bus.TASKS_STREAM
        assert trigger["metadata"]["consumer"] == bus.route_consumer(STAGE_OF[service_of(container)], provider)
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
        assert "://" not in trigger["metadata"]["natsServerMonitoringEndpoint"]
        start = container["startupProbe"]
        assert document["spec"]["cooldownPeriod"] > start["failureThreshold"] * start["periodSeconds"] - 5
        assert document["spec"]["fallback"]["replicas"] <= document["spec"]["maxReplicaCount"]


@pytest.mark.parametrize("values", VALUES)
def test_replicas_stand_only_where_no_autoscaler_owns_them(values: str) -> None:
    scaled = {d["spec"]["scaleTargetRef"]["name"] for d in rendered(values).of("ScaledObject")}
    for deployment in rendered(values).of("Deployment"):
        has_replicas = "replicas" in deployment["spec"]
        assert has_replicas is (deployment["metadata"]["name"] not in scaled)


def test_a_worker_that_asks_for_a_gpu_gets_its_profile() -> None:
    deployment, container = workers("mig")["detector"]
    spec = deployment["spec"]["template"]["spec"]
    assert container["resources"]["limits"]["nvidia.com/mig-3g.40gb"] == 1
    assert spec["nodeSelector"] == {"nvidia.com/mig.config": "all-balanced"}
    assert spec["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert workers("one-gpu")["embedder"][0]["spec"]["template"]["spec"]["runtimeClassName"] == "nvidia"


@pytest.mark.parametrize("values", VALUES)
def test_a_worker_has_a_gpu_if_and_only_if_it_executes_models_on_one(values: str) -> None:
    for name, (_, container) in workers(values).items():
        env = env_of(container)
        needs = env["SCREENALYTICS_INFERENCE__PROVIDER"] == "cuda" and "SCREENALYTICS_TRITON__URL" not in env
        limits = container["resources"]["limits"]
        assert any(key.startswith("nvidia.com/") for key in limits) is needs, name
        target = re.split(r"[@:]", container["image"].rpartition("/")[2])[0]
        assert target == (service_of(container) if needs else "cpu")


def test_two_workers_of_one_route_declare_it_once() -> None:
    declared = env_of(
        rendered("mig").get("Deployment", "demo-screenalytics-orchestrator")["spec"]["template"]["spec"][
            "containers"
        ][0]
    )
    assert json.loads(declared["SCREENALYTICS_ROUTES__DECLARED"]) == [
        "cluster/cuda",
        "detect_track/cuda",
        "faces_embed/cuda",
    ]


def test_settings_of_an_operator_reach_the_pods_as_text() -> None:
    values = merged(
        MINIMAL,
        {"orchestrator": {"settings": {"media": {"max_upload_bytes": 1 << 40}, "jobs": {"stall_s": 2.5}}}},
    )
    container = render(values).get("Deployment", "demo-screenalytics-orchestrator")["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert env_of(container)["SCREENALYTICS_MEDIA__MAX_UPLOAD_BYTES"] == str(1 << 40)
    assert env_of(container)["SCREENALYTICS_JOBS__STALL_S"] == "2.5"


def test_each_role_is_given_its_own_password_for_nats_and_no_other() -> None:
    roles = {"orchestrator": "orchestrator", **STAGE_OF}
    for _, pod in rendered("everything").pods():
        for container in containers(pod):
            env = env_of(container) if is_ours(container) else {}
            if "SCREENALYTICS_NATS__URL" in env:
                role = roles[service_of(container)]
                assert role in ROLES
                assert env["SCREENALYTICS_NATS__USER"] == role
                assert env["SCREENALYTICS_NATS__PASSWORD"] == {
                    "secretKeyRef": {"name": "nats-roles", "key": role}
                }


@pytest.mark.parametrize("container", OUR_CONTAINERS)
def test_every_file_that_is_named_lies_in_a_volume_of_the_container(container: Document) -> None:
    folders = {mount["mountPath"] for mount in container["volumeMounts"]}
    for name, value in env_of(container).items():
        if name.endswith("_FILE") or name == "PGSSLROOTCERT":
            assert value.rpartition("/")[0] in folders, name


def test_whoever_connects_to_postgres_checks_its_certificate() -> None:
    checking = {
        container["command"][2]
        for _, pod in rendered("everything").pods()
        for container in containers(pod)
        if env_of(container).get("PGSSLMODE") == "verify-full"
    }
    assert checking == {"services.orchestrator", "services.orchestrator.migrate"}
    assert not any("PGSSLMODE" in env_of(c) for _, p in rendered("minimal").pods() for c in containers(p))


def test_every_part_presents_its_certificate_to_nats() -> None:
    for _, pod in rendered("everything").pods():
        for container in containers(pod):
            env = env_of(container)
            if is_ours(container) and "SCREENALYTICS_NATS__URL" in env:
                assert env["SCREENALYTICS_NATS__TLS_CERT_FILE"] == "/nats-tls/tls.crt"
                assert {"nats-client"} <= {
                    v["secret"]["secretName"] for v in pod["spec"]["volumes"] if "secret" in v
                }


def test_the_test_of_a_release_calls_with_the_key_it_is_given() -> None:
    pod = rendered("everything").get("Pod", "demo-faces-test")
    env = env_of(pod["spec"]["containers"][0])
    assert env["SCREENALYTICS_CLIENT__TOKEN"] == {"secretKeyRef": {"name": "test-key", "key": "text"}}


def test_an_existing_secret_and_its_key_are_used() -> None:
    text = yaml.safe_dump_all(rendered("claims").documents)
    assert "key: uri" in text
    assert "key: address" in text


def test_models_reach_the_worker_from_wherever_they_come() -> None:
    kinds = {}
    for values in ("minimal", "claims", "production", "air-gapped"):
        deployment, container = workers(values)["detector"]
        spec = deployment["spec"]["template"]["spec"]
        volume = next((v for v in spec["volumes"] if v["name"] == "models"), {"name": "models"})
        kinds[values] = next(iter(set(volume) - {"name"}), None)
        mounts = {m["name"]: m for m in container["volumeMounts"]}
        assert ("SCREENALYTICS_MODELS__DIR" in env_of(container)) is ("models" in mounts)
        assert [c["name"] for c in spec.get("initContainers", [])] == (
            ["fetch-detector-models"] if values == "air-gapped" else []
        )
    assert kinds == {
        "minimal": None,
        "claims": "persistentVolumeClaim",
        "production": "image",
        "air-gapped": "emptyDir",
    }


def test_a_pinned_catalog_is_asked_of_every_pod_that_fetches() -> None:
    pinned = values_of("air-gapped")["models"]["catalogSha256"]
    fetching = [
        container
        for _, pod in rendered("air-gapped").pods()
        for container in containers(pod)
        if container["name"].startswith("fetch-")
    ]
    assert len(fetching) == 4
    assert all(container["args"] == ["--catalog-sha256", pinned] for container in fetching)


def test_the_schema_migrates_once_and_never_in_a_replica() -> None:
    def where(values: str) -> list[str]:
        return [
            name.partition("/")[0]
            for name, pod in rendered(values).pods()
            if "services.orchestrator.migrate" in [c["command"][-1] for c in containers(pod) if is_ours(c)]
        ]

    assert (where("minimal"), where("everything"), where("trial-on-gpu")) == (["Job"], ["Job"], ["Deployment"])
    hook = rendered("minimal").get("Job", "demo-screenalytics-migrations")
    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert hook["spec"]["template"]["spec"]["serviceAccountName"] == "default"
    for values in VALUES:
        for _, pod in rendered(values).pods():
            for container in pod["spec"]["containers"]:
                if container["name"] == "orchestrator":
                    assert env_of(container)["SCREENALYTICS_POSTGRES__MIGRATE_AT_START"] == "false"


def test_every_flag_that_the_chart_gives_triton_is_one_of_its_own() -> None:
    server = triton_server.SITE / "pytriton/tritonserver/bin/tritonserver"
    if not server.is_file():
        skip_or_fail("the Triton server of nvidia-pytriton (make triton)")
    env = {"LD_LIBRARY_PATH": str(triton_server.SITE / "nvidia_pytriton.libs")}
    done = subprocess.run([server, "--help"], env=env, capture_output=True, text=True, check=False)
    known = set(re.findall(r"--[a-z-]+", done.stdout + done.stderr))
    pod = next(pod for name, pod in rendered("triton").pods() if name.endswith("-triton"))
    (container,) = pod["spec"]["containers"]
    given = {word.partition("=")[0] for word in container["args"]}
    assert "--model-repository" in given
    assert given <= known
