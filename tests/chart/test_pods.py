"""Every pod of every values file: restricted, bounded, spread, and without a token."""

from __future__ import annotations

import re

import pytest

from tests.chart.helm import CHART, VALUES, Document, containers, env_of, is_ours, rendered, values_of

PODS = [pytest.param(pod, id=f"{values}-{name}") for values in VALUES for name, pod in rendered(values).pods()]
# Kinds of volumes that the restricted profile allows; an image volume is read-only and part of it since 1.33.
ALLOWED_VOLUMES = {"configMap", "emptyDir", "image", "persistentVolumeClaim", "projected", "secret"}
LONG_RUNNING = {"Deployment", "StatefulSet"}


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_is_restricted(pod: Document) -> None:
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    security = spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(pod):
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["privileged"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert not {"hostPort"} & {key for port in container.get("ports", []) for key in port}
    for volume in spec.get("volumes", []):
        assert set(volume) - {"name"} <= ALLOWED_VOLUMES


@pytest.mark.parametrize("pod", PODS)
def test_every_container_has_requests_and_limits_and_somewhere_to_write(pod: Document) -> None:
    volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])} | {"data"}
    for container in containers(pod):
        for bound in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(container["resources"][bound]), container["name"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        if is_ours(container):
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("pod", PODS)
def test_every_volume_is_mounted_and_every_folder_in_memory_or_on_disk_is_bounded(pod: Document) -> None:
    mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
    for volume in pod["spec"].get("volumes", []):
        if "emptyDir" in volume:
            assert "sizeLimit" in volume["emptyDir"], volume["name"]
            assert volume["name"] in mounted


@pytest.mark.parametrize("pod", PODS)
def test_a_command_of_ours_is_a_module_with_a_main(pod: Document) -> None:
    for container in containers(pod):
        if is_ours(container):
            module = CHART.parents[2] / container["command"][2].replace(".", "/")
            assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file()


@pytest.mark.parametrize("values", VALUES)
def test_what_runs_for_long_is_spread_and_probed_and_ends_in_order(values: str) -> None:
    for document in rendered(values).documents:
        if document["kind"] not in LONG_RUNNING:
            continue
        spec = document["spec"]["template"]["spec"]
        assert {c["topologyKey"] for c in spec["topologySpreadConstraints"]} == {
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        }
        for constraint in spec["topologySpreadConstraints"]:
            assert constraint["labelSelector"] == document["spec"]["selector"]
        assert spec["terminationGracePeriodSeconds"] >= 20
        assert all("readinessProbe" in container for container in spec["containers"])


@pytest.mark.parametrize("values", VALUES)
def test_a_selector_selects_its_own_pods_and_follows_no_version(values: str) -> None:
    for document in rendered(values).documents:
        if document["kind"] in LONG_RUNNING:
            wanted = document["spec"]["selector"]["matchLabels"]
            assert wanted.items() <= document["spec"]["template"]["metadata"]["labels"].items()
            assert set(wanted) == {f"app.kubernetes.io/{key}" for key in ("name", "instance", "component")}


@pytest.mark.parametrize("values", VALUES)
def test_a_worker_has_longer_to_end_than_it_takes_to_drain(values: str) -> None:
    for name, pod in rendered(values).pods():
        worker = next((c for c in containers(pod) if c["name"] == "worker"), None)
        if worker is not None:
            grace = pod["spec"]["terminationGracePeriodSeconds"]
            assert 0 < float(env_of(worker)["SCREENALYTICS_WORKER__DRAIN_GRACE_S"]) < grace, name
        if pod["spec"]["containers"][0]["name"] == "orchestrator":
            own = pod["spec"]["containers"][0]
            pause = re.findall(r"sleep\((\d+)\)", str(own["lifecycle"]))
            assert int(pause[0]) + 10 < pod["spec"]["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("values", VALUES)
def test_a_worker_is_ready_only_once_its_models_are_warm(values: str) -> None:
    for _, pod in rendered(values).pods():
        for container in pod["spec"]["containers"]:
            if container["name"] != "worker":
                continue
            start, ready, live = (container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness"))
            assert (start["httpGet"]["path"], live["httpGet"]["path"]) == ("/readyz", "/livez")
            assert ready["httpGet"] == start["httpGet"]
            budget_s = start["failureThreshold"] * start["periodSeconds"]
            assert 0 < float(env_of(container)["SCREENALYTICS_INFERENCE__START_TIMEOUT_S"]) < budget_s


def test_a_pull_secret_and_a_mirror_reach_every_image_of_every_pod() -> None:
    mirror = values_of("air-gapped")["global"]["imageRegistry"]
    for name, pod in rendered("air-gapped").pods():
        assert pod["spec"]["imagePullSecrets"] == [{"name": "mirror"}], name
        for container in containers(pod):
            assert container["image"].startswith(f"{mirror}/screenalytics/"), name
            assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"]), name


def test_labels_of_the_operator_stand_on_every_document_and_in_no_selector() -> None:
    own = values_of("everything")["additionalLabels"]
    for document in rendered("everything").documents:
        if document["metadata"]["name"] != "demo-extra":
            assert own.items() <= document["metadata"]["labels"].items(), document["metadata"]["name"]
        assert not set(own) & set(document.get("spec", {}).get("selector", {}).get("matchLabels", {}))


@pytest.mark.parametrize("values", VALUES)
def test_nothing_asks_the_cluster_for_rights(values: str) -> None:
    kinds = {document["kind"] for document in rendered(values).documents}
    assert not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"} & kinds
    for account in rendered(values).of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_a_disruption_takes_one_replica_at_a_time_and_never_blocks_a_drain() -> None:
    (budget,) = rendered("minimal").of("PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    assert not rendered("claims").of("PodDisruptionBudget")


def test_the_log_of_the_test_outlives_a_success() -> None:
    hooks = [
        d
        for d in rendered("minimal").documents
        if d["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"
    ]
    assert {d["kind"] for d in hooks} == {"ConfigMap", "Pod"}
    for document in hooks:
        assert document["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation"
