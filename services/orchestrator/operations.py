"""Every operation of the public API, by name: how it is called over each transport, and who may call it.

An operation that is not in this table does not exist: tests hold the REST description and the protos to it, and
both transports refuse what they cannot find here. `name` is the OpenAPI `operationId`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a caller may do; none of them includes another."""

    READ = "read"
    SUBMIT = "submit"
    CURATE = "curate"
    ADMIN = "admin"


@dataclass(frozen=True)
class Operation:
    """`rest`: method and path. `scope`: None for what anybody may call. `rest_only`: why there is no rpc."""

    name: str
    rest: str
    scope: Scope | None
    rest_only: str = ""

    @property
    def is_change(self) -> bool:
        return not self.rest.startswith(("GET ", "HEAD ", "OPTIONS ")) and self.scope is not Scope.READ

    @property
    def grpc_name(self) -> str:
        return "".join(word.capitalize() for word in self.name.split("_"))


_UPLOAD = "a body that is streamed to the store"
_ADMINISTRATION = "for people who run the system"
_TUS = "tus is a protocol over HTTP"
_PROBE = "asked by Kubernetes and Prometheus; gRPC has its own health service"

OPERATIONS = (
    Operation("register_episode", "POST /v1/episodes", Scope.SUBMIT),
    Operation("describe_uploads", "OPTIONS /v1/uploads", Scope.SUBMIT, _TUS),
    Operation("create_upload", "POST /v1/uploads", Scope.SUBMIT, _TUS),
    Operation("head_upload", "HEAD /v1/uploads/{upload_id}", Scope.SUBMIT, _TUS),
    Operation("get_upload", "GET /v1/uploads/{upload_id}", Scope.SUBMIT, _TUS),
    Operation("append_upload", "PATCH /v1/uploads/{upload_id}", Scope.SUBMIT, _TUS),
    Operation("delete_upload", "DELETE /v1/uploads/{upload_id}", Scope.SUBMIT, _TUS),
    Operation("list_episodes", "GET /v1/episodes", Scope.READ),
    Operation("get_episode", "GET /v1/episodes/{ep_id}", Scope.READ),
    Operation("update_episode", "PATCH /v1/episodes/{ep_id}", Scope.CURATE),
    Operation("get_episode_status", "GET /v1/episodes/{ep_id}/status", Scope.READ),
    Operation("get_identities", "GET /v1/episodes/{ep_id}/identities", Scope.READ),
    Operation("list_artifacts", "GET /v1/episodes/{ep_id}/artifacts", Scope.READ),
    Operation("get_artifact", "GET /v1/episodes/{ep_id}/artifacts/{kind}", Scope.READ),
    Operation("list_exports", "GET /v1/episodes/{ep_id}/exports", Scope.READ),
    Operation("get_marker", "GET /v1/episodes/{ep_id}/exports/runs/{stage}.json", Scope.READ),
    Operation("get_export", "GET /v1/episodes/{ep_id}/exports/{name}", Scope.READ),
    Operation("list_imports", "GET /v1/episodes/{ep_id}/imports", Scope.READ),
    Operation("put_import", "PUT /v1/episodes/{ep_id}/imports/{name}", Scope.SUBMIT, _UPLOAD),
    Operation("erase_episode", "DELETE /v1/episodes/{ep_id}", Scope.ADMIN),
    Operation("get_erasure", "GET /v1/erasures/{erasure_id}", Scope.READ),
    Operation("trash_episode", "POST /v1/episodes/{ep_id}:trash", Scope.CURATE),
    Operation("restore_episode", "POST /v1/episodes/{ep_id}:restore", Scope.CURATE),
    Operation("submit_job", "POST /v1/jobs", Scope.SUBMIT),
    Operation("list_jobs", "GET /v1/jobs", Scope.READ),
    Operation("get_job", "GET /v1/jobs/{job_id}", Scope.READ),
    Operation("list_dead_letters", "GET /v1/jobs/{job_id}/dead-letters", Scope.READ),
    Operation("wait_job", "POST /v1/jobs/{job_id}:wait", Scope.READ),
    Operation("cancel_job", "POST /v1/jobs/{job_id}:cancel", Scope.SUBMIT),
    Operation("retry_job", "POST /v1/jobs/{job_id}:retry", Scope.SUBMIT),
    Operation("resume_job", "POST /v1/jobs/{job_id}:resume", Scope.SUBMIT),
    Operation("explain_job", "GET /v1/jobs/{job_id}/why", Scope.READ),
    Operation("list_logs", "GET /v1/jobs/{job_id}/logs", Scope.READ),
    Operation("watch_job", "GET /v1/jobs/{job_id}/events", Scope.READ),
    Operation("list_workers", "GET /v1/workers", Scope.READ),
    Operation("list_profiles", "GET /v1/profiles", Scope.READ),
    Operation("create_key", "POST /v1/keys", Scope.ADMIN, _ADMINISTRATION),
    Operation("list_keys", "GET /v1/keys", Scope.ADMIN, _ADMINISTRATION),
    Operation("revoke_key", "POST /v1/keys/{key_id}:revoke", Scope.ADMIN, _ADMINISTRATION),
    Operation("rotate_key", "POST /v1/keys/{key_id}:rotate", Scope.ADMIN, _ADMINISTRATION),
    Operation("list_audit", "GET /v1/audit", Scope.ADMIN, _ADMINISTRATION),
    Operation("create_webhook", "POST /v1/webhooks", Scope.ADMIN, _ADMINISTRATION),
    Operation("list_webhooks", "GET /v1/webhooks", Scope.ADMIN, _ADMINISTRATION),
    Operation("get_webhook", "GET /v1/webhooks/{webhook_id}", Scope.ADMIN, _ADMINISTRATION),
    Operation("delete_webhook", "DELETE /v1/webhooks/{webhook_id}", Scope.ADMIN, _ADMINISTRATION),
    Operation("enable_webhook", "POST /v1/webhooks/{webhook_id}:enable", Scope.ADMIN, _ADMINISTRATION),
    Operation(
        "rotate_webhook_secret",
        "POST /v1/webhooks/{webhook_id}:rotate-secret",
        Scope.ADMIN,
        _ADMINISTRATION,
    ),
    Operation("list_deliveries", "GET /v1/webhooks/{webhook_id}/deliveries", Scope.ADMIN, _ADMINISTRATION),
    Operation(
        "replay_delivery",
        "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}:replay",
        Scope.ADMIN,
        _ADMINISTRATION,
    ),
    Operation("livez", "GET /livez", None, _PROBE),
    Operation("readyz", "GET /readyz", None, _PROBE),
    Operation("metrics", "GET /metrics", None, _PROBE),
)
