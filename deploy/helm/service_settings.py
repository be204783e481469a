"""What an operator may set of a service, from its settings class, without what the chart makes itself."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from deploy.helm.shapes import Schema, closed, texts_by
from services.kit.settings import ServiceSettings

# Settings that follow from other values of the chart.
MADE_BY_THE_CHART = frozenset(
    {
        ("grpc", "host"),
        ("grpc", "port"),
        ("grpc", "tls_cert_file"),
        ("grpc", "tls_client_ca_file"),
        ("grpc", "tls_key_file"),
        ("health", "host"),
        ("health", "port"),
        ("health", "tls_cert_file"),
        ("health", "tls_client_ca_file"),
        ("health", "tls_key_file"),
        ("http", "host"),
        ("http", "port"),
        ("http", "tls_cert_file"),
        ("http", "tls_client_ca_file"),
        ("http", "tls_key_file"),
        ("inference", "allow_cpu_fallback"),
        ("inference", "provider"),
        ("inference", "start_timeout_s"),
        ("log", "format"),
        ("media", "allow_local_paths"),
        ("models", "dir"),
        ("nats", "password"),
        ("nats", "tls_ca_file"),
        ("nats", "tls_cert_file"),
        ("nats", "tls_key_file"),
        ("nats", "url"),
        ("nats", "user"),
        ("postgres", "dsn"),
        ("postgres", "migrate_at_start"),
        ("routes", "declared"),
        ("store", "options"),
        ("store", "url"),
        ("threads", "max_cpu"),
        ("traces", "ca_file"),
        ("traces", "endpoint"),
        ("traces", "headers"),
        ("traces", "sample_ratio"),
        ("triton", "url"),
        ("worker", "drain_grace_s"),
        ("worker", "scratch_dir"),
    }
)


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
