"""The audit log: every change and every refusal, by whom, and no name in it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.orchestrator.operations import Scope
from services.orchestrator.paging import PageRequest, page_of
from tests.integration.orchestrator.access.conftest import Issuer, Keys, bearer
from tests.integration.parts import VIDEO, Parts, until


async def entries(api: httpx.AsyncClient, admin: dict[str, str], **params: str) -> list[dict[str, Any]]:
    answer = await api.get("/v1/audit", params=params, headers=admin)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["entries"])


async def test_a_change_is_in_the_log_before_its_caller_hears_of_it(
    secured: httpx.AsyncClient, keys: Keys, parts: Parts
) -> None:
    admin, text = await keys.headers(Scope.ADMIN), await keys.text(Scope.SUBMIT, Scope.READ)
    headers = {**bearer(text), "X-Request-Id": "mine"}
    sent = {"params": {"ep_id": "secret-person"}, "content": VIDEO, "headers": headers}
    answer = await secured.post("/v1/episodes", **sent)
    assert answer.headers["x-request-id"] == "mine"
    job = await secured.post("/v1/jobs", json={"ep_id": "secret-person", "device": "cpu"}, headers=headers)
    job_id = job.json()["job_id"]
    await secured.post(f"/v1/jobs/{job_id}:cancel", headers=headers)
    await secured.post("/v1/jobs/nothing:cancel", headers=headers)
    await secured.get(f"/v1/jobs/{job_id}", headers=headers)
    found = await entries(secured, admin)
    assert [(e["operation"], e["outcome"]) for e in reversed(found)] == [
        ("register_episode", "ok"),
        ("submit_job", "ok"),
        ("cancel_job", "ok"),
        ("cancel_job", "not-found"),
    ]
    assert {(e["who"], e["request_id"], e["remote"]) for e in found} == {
        (f"key:{text.split('_')[1]}", "mine", "127.0.0.1")
    }
    of_the_job = await entries(secured, admin, resource=f"jobs/{job_id}")
    assert [e["operation"] for e in of_the_job] == ["cancel_job", "submit_job"]
    kept = str(await parts.rows("SELECT * FROM audit_log"))
    assert "secret-person" not in kept
    assert job_id not in kept
    assert text.split("_", 2)[2] not in kept


async def test_refusals_are_in_the_log_also_those_of_nobody(
    secured: httpx.AsyncClient, keys: Keys, issuer: Issuer
) -> None:
    admin = await keys.headers(Scope.ADMIN)
    await secured.get("/v1/jobs")
    await secured.get("/v1/keys", headers=bearer(issuer.token(sub="a reader")))

    async def written() -> list[dict[str, Any]]:
        found = await entries(secured, admin)
        return found if len(found) == 2 else []

    found = await until(written)
    assert {(e["who"], e["operation"], e["outcome"]) for e in found} == {
        ("", "list_jobs", "unauthenticated"),
        ("sub:a reader", "list_keys", "permission-denied"),
    }


async def test_the_log_is_read_page_by_page_and_by_who_and_what(secured: httpx.AsyncClient, keys: Keys) -> None:
    admin = await keys.headers(Scope.ADMIN)
    for number in range(5):
        body = {"name": f"k{number}", "scopes": ["read"]}
        assert (await secured.post("/v1/keys", json=body, headers=admin)).status_code == 201
    seen, token = [], ""
    while True:
        params = {"page_size": "2", "page_token": token}
        page = (await secured.get("/v1/audit", params=params, headers=admin)).json()
        seen += [entry["resource"] for entry in page["entries"]]
        token = page["next_page_token"]
        if not token:
            break
    assert len(seen) == len(set(seen)) == 5
    assert len(await entries(secured, admin, resource=seen[0])) == 1
    assert await entries(secured, admin, who="key:nobody") == []
    assert len(await entries(secured, admin, operation="create_key")) == 5


@pytest.mark.parametrize("position", ["no number", "9" * 40, "-1", ""])
async def test_a_page_token_that_was_made_up_is_the_callers_fault(
    secured: httpx.AsyncClient, keys: Keys, position: str
) -> None:
    query = {"who": None, "operation": None, "resource": None}
    made_up = page_of([position] * 2, PageRequest(1), query, lambda item: (item,)).next_page_token
    refused = await secured.get(
        "/v1/audit", params={"page_token": made_up}, headers=await keys.headers(Scope.ADMIN)
    )
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-page-token")


async def test_entries_go_when_their_time_is_over(parts: Parts, keys: Keys, secured: httpx.AsyncClient) -> None:
    from services.orchestrator.access.audit import AuditLog

    admin = await keys.headers(Scope.ADMIN)
    for name in ("old", "new"):
        await secured.post("/v1/keys", json={"name": name, "scopes": ["read"]}, headers=admin)
    await parts.rows(
        "UPDATE audit_log SET at = now() - interval '8 days' WHERE audit_id = (SELECT min(audit_id) FROM audit_log)"
    )
    await AuditLog(parts.database, retention_days=7).forget()
    assert len(await parts.rows("SELECT * FROM audit_log")) == 1
