"""Every operation, asked for real by nobody and by a caller of each scope: who may is what the table says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx

from services.orchestrator.operations import OPERATIONS, Scope
from tests.integration.orchestrator.access.conftest import Issuer, Keys, bearer

# A value that nothing has, of the form that the parameter wants.
_VALUES = {"kind": "tracks", "stage": "cluster", "name": "tracks.jsonl"}


def calls(document: dict[str, dict[str, dict[str, dict[str, str]]]]) -> Iterator[tuple[str, str, str]]:
    """(operation, method, path) of the API's own description."""
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            filled = re.sub(r"\{(\w+)\}", lambda m: _VALUES.get(m[1], "00000000"), path)
            yield call["operationId"], method.upper(), filled


async def test_each_operation_is_for_callers_of_its_scope_and_for_nobody_else(
    secured: httpx.AsyncClient, keys: Keys, issuer: Issuer
) -> None:
    callers = {scope: [await keys.headers(scope), bearer(issuer.token(scope=scope))] for scope in Scope}
    description = (await secured.get("/openapi.json", headers=callers[Scope.READ][0])).json()
    needed = {operation.name: operation.scope for operation in OPERATIONS}
    asked = set()
    for name, method, path in calls(description):
        asked.add(name)
        nobody = await secured.request(method, path)
        if needed[name] is None:
            assert nobody.status_code < 400, name
            continue
        assert nobody.status_code == 401, name
        assert nobody.headers["www-authenticate"].startswith("Bearer")
        for scope, credentials in callers.items():
            for headers in credentials:
                answer = await secured.request(method, path, headers=headers)
                if scope is needed[name]:
                    assert answer.status_code not in (401, 403), (name, answer.text)
                    assert answer.status_code < 500, (name, answer.text)
                else:
                    assert answer.status_code == 403, (name, scope)
                    # An answer to HEAD has no body to say it in.
                    assert method == "HEAD" or answer.json()["code"] == "permission-denied", (name, scope)
    assert asked == set(needed)


async def test_the_description_tells_the_scope_of_each_operation(
    secured: httpx.AsyncClient, keys: Keys
) -> None:
    description = (await secured.get("/openapi.json", headers=await keys.headers(Scope.READ))).json()
    assert description["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    told = {
        call["operationId"]: call["security"]
        for methods in description["paths"].values()
        for call in methods.values()
    }
    assert told == {o.name: [] if o.scope is None else [{"bearer": [o.scope]}] for o in OPERATIONS}


async def test_what_stands_in_no_table_is_not_there_and_tells_strangers_nothing(
    secured: httpx.AsyncClient, keys: Keys
) -> None:
    known = await keys.headers(*Scope)
    for path in ("/", "/v1", "/v1/nothing", "/v1/jobs/", "/docs/", "//v1/jobs", "/v1/episodes/a/b/c"):
        assert (await secured.get(path)).status_code == 401, path
        absent = await secured.get(path, headers=known)
        assert (absent.status_code, absent.json()["code"]) == (404, "not-found"), path
    answer = await secured.delete("/v1/jobs", headers=known)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.json()["code"] == "invalid-request"
    assert (await secured.delete("/v1/jobs")).status_code == 401


async def test_the_description_and_its_page_are_for_readers(secured: httpx.AsyncClient, keys: Keys) -> None:
    for path in ("/docs", "/openapi.json"):
        assert (await secured.get(path)).status_code == 401
        assert (await secured.get(path, headers=await keys.headers(Scope.SUBMIT))).status_code == 403
        assert (await secured.get(path, headers=await keys.headers(Scope.READ))).status_code == 200
