"""Where one call leads to another: OpenAPI's links, from fields of an answer to parameters of the next call."""

from __future__ import annotations

from typing import Any

_EPISODE = (
    "get_episode", "update_episode", "get_episode_status", "get_identities", "list_artifacts", "list_exports",
    "list_imports",
)  # fmt: skip
_JOB = (
    "get_job", "wait_job", "cancel_job", "retry_job", "resume_job", "explain_job", "list_logs",
    "list_dead_letters",
)  # fmt: skip


def _to(calls: tuple[str, ...], parameter: str, field: str) -> dict[str, Any]:
    found = f"$response.body#/{field}"
    return {call: {"operationId": call, "parameters": {parameter: found}} for call in calls}


def _work_on(field: str) -> dict[str, Any]:
    return {"submit_job": {"operationId": "submit_job", "requestBody": {"ep_id": f"$response.body#/{field}"}}}


def _next_page(call: str) -> dict[str, Any]:
    token = "$response.body#/next_page_token"
    return {"next_page": {"operationId": call, "parameters": {"page_token": token}}}


_OF_EPISODE = _to(_EPISODE, "ep_id", "ep_id") | _work_on("ep_id")
_OF_JOB = _to(_JOB, "job_id", "job_id")
LINKS: dict[str, dict[str, Any]] = {
    "register_episode": _OF_EPISODE,
    "get_episode": _OF_EPISODE,
    "list_episodes": _next_page("list_episodes") | _to(_EPISODE, "ep_id", "episodes/0/ep_id")
    | _work_on("episodes/0/ep_id"),
    "submit_job": _OF_JOB,
    "retry_job": _OF_JOB,
    "resume_job": _OF_JOB,
    "list_jobs": _next_page("list_jobs") | _to(_JOB, "job_id", "jobs/0/job_id"),
    "list_logs": {
        "next_lines": {"operationId": "list_logs", "parameters": {"after": "$response.body#/next_after"}}
    },
}  # fmt: skip
