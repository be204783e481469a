"""The chart, rendered by Helm's own engine."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart, HelmError, _native

from tests.conftest import REPOSITORY

CHART = REPOSITORY / "deploy" / "helm" / "screenalytics"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
VALUES = {path.stem: path for path in [*EXAMPLES, *sorted((Path(__file__).parent / "values").glob("*.yaml"))]}
KUBERNETES = ("1.29.0", "1.33.0", "1.37.0")
RELEASE, NAMESPACE = "demo", "media"
CRDS = (
    "keda.sh/v1alpha1",
    "monitoring.coreos.com/v1",
    "gateway.networking.k8s.io/v1",
    "gateway.networking.k8s.io/v1/GRPCRoute",
    "gateway.networking.k8s.io/v1/BackendTLSPolicy",
)
# What the chart needs to be told, and nothing more.
MINIMAL: dict[str, Any] = {
    "postgres": {"existingSecret": "pg"},
    "nats": {"existingSecret": "nats"},
    "store": {"url": "s3://bucket/prefix"},
}

Values = dict[str, Any]
Document = dict[str, Any]


def values_of(name: str) -> Values:
    values = yaml.safe_load(VALUES[name].read_text("utf-8"))
    assert isinstance(values, dict)
    return values


def merged(below: Values, above: Values) -> Values:
    """As Helm merges values files."""
    made = copy.deepcopy(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = merged(made[key], value) if both else value
    return made


def versions_for(name: str) -> list[str]:
    """The Kubernetes versions that a values file is for: image volumes are young."""
    source = values_of(name).get("models", {}).get("source")
    return [v for v in KUBERNETES if source != "imageVolume" or v >= "1.33"]


@cache
def chart() -> Chart:
    return Chart.load(CHART)


def texts(
    values: Values,
    *,
    kubernetes: str = "1.33.0",
    apis: tuple[str, ...] = CRDS,
    of: Chart | None = None,
    release: str = RELEASE,
) -> dict[str, str]:
    """What each template renders to."""
    options = {
        "name": release,
        "namespace": NAMESPACE,
        "kube_version": f"v{kubernetes}",
        "api_versions": list(apis),
    }
    answer = _native.call_string("helm_render", (of or chart())._raw(), json.dumps(values), json.dumps(options))
    rendered: dict[str, str] = json.loads(answer)
    return rendered


def documents_in(rendered: dict[str, str]) -> list[Document]:
    return [
        document
        for path, text in sorted(rendered.items())
        if path.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]


@dataclass(frozen=True)
class Rendered:
    documents: list[Document]

    def of(self, kind: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] == kind]

    def get(self, kind: str, name: str) -> Document:
        (found,) = [d for d in self.of(kind) if d["metadata"]["name"] == name]
        return found

    def pods(self) -> Iterator[tuple[str, Document]]:
        """(kind/name, pod template) of everything that becomes a pod."""
        for document in self.documents:
            name = f"{document['kind']}/{document['metadata']['name']}"
            if document["kind"] == "Pod":
                yield name, document
            elif "template" in document.get("spec", {}):
                yield name, document["spec"]["template"]


def render(values: Values, **options: Any) -> Rendered:
    return Rendered(documents_in(texts(values, **options)))


@cache
def rendered(name: str, kubernetes: str = "1.33.0") -> Rendered:
    return render(values_of(name), kubernetes=kubernetes)


def refusal(values: Values, **options: Any) -> str:
    """Why the chart refuses the values; fails where it does not."""
    try:
        texts(values, **options)
    except HelmError as error:
        return str(error)
    raise AssertionError("the values were accepted")


def containers(pod: Document) -> list[Document]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def is_ours(container: Document) -> bool:
    """Whether the container runs a command of this project."""
    return list(container.get("command", []))[:2] == ["python", "-m"]


def env_of(container: Document) -> dict[str, Any]:
    """Each name with its value, or with where it comes from."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container.get("env", [])}
