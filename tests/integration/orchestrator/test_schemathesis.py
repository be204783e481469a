"""Requests made from the description, valid and invalid, one by one and in chains: what is answered fits it.

In full (`make chaos`) some 3,000 requests and more; in every test run a few of each call.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import FlakyStrategyDefinition, Unsatisfiable
from schemathesis import APIOperation, Case, CheckContext, GenerationMode, Response
from schemathesis.generation.stateful import run_state_machine_as_test
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.orchestrator.job_request import JobKind
from tests.integration.parts import Parts
from tests.sizes import IS_FULL, sized

pytestmark = pytest.mark.timeout(sized(300, 3_600))

# Goes on for as long as a job does; tests/integration/orchestrator/test_event_stream.py holds it.
_ENDLESS = "watch_job"
# The parts of an upload are bytes, under the name that tus has for them.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
_EXAMPLES = sized(2, 50)  # of each call, valid, and as many invalid
_ROUNDS, _CHAINS, _STEPS = sized(1, 20), sized(5, 10), sized(5, 12)
_BARE = settings(
    database=None,
    deadline=None,
    derandomize=not IS_FULL,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
    print_blob=False,
)


def is_foreseen(ctx: CheckContext, response: Response, case: Case) -> bool | None:
    """Nothing is really down, so nothing may be answered by 500 or above; and errors are problems."""
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == ["application/problem+json"], response.text
        if case.method.upper() == "HEAD":  # whose answers have no body
            return None
        body = response.json()
        assert (body["status"], bool(body["code"]), bool(body["detail"])) == (response.status_code, True, True)
    return None


_CHECKS = [
    is_foreseen,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


class Fuzz:
    """The API as it describes itself, and what has been asked of it."""

    def __init__(self, described: dict[str, Any], base_url: str) -> None:
        self.schema: BaseSchema = schemathesis.openapi.from_dict(described).exclude(operation_id=_ENDLESS)
        self.schema.config.update(base_url=base_url)
        self.asked: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._session = requests.Session()
        self._session.trust_env = False

    def operations(self) -> Iterator[APIOperation[Any, Any, Any, Any]]:
        for found in self.schema.get_all_operations():
            yield found.ok()

    def one_by_one(self, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode) -> None:
        @settings(_BARE, max_examples=_EXAMPLES)
        @given(case=operation.as_strategy(generation_mode=mode))
        def asked(case: Case) -> None:
            self.ask(case)

        # A call without parameters cannot be asked wrongly.
        with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
            asked()

    def in_chains(self) -> None:
        fuzz = self

        class Chain(self.schema.as_state_machine()):  # type: ignore[misc]
            def call(self, case: Case, **_: Any) -> Response:
                return fuzz.send(case)

            def validate_response(self, response: Response, case: Case, *_: Any, **__: Any) -> None:
                fuzz.validate(response, case)

        limits = settings(_BARE, max_examples=_CHAINS, stateful_step_count=_STEPS)
        for _ in range(_ROUNDS):
            # What one chain has changed another finds: no fault of an answer, and the round ends there.
            with suppress(FlakyStrategyDefinition):
                run_state_machine_as_test(Chain, settings=limits)

    def ask(self, case: Case) -> None:
        self.validate(self.send(case), case)

    def send(self, case: Case) -> Response:
        name = case.operation.definition.raw["operationId"]
        if name == "wait_job":
            case.query = {**(case.query or {}), "timeout_s": 0.01}
        response = case.call(session=self._session, timeout=30)
        self.asked[name] += 1
        self.statuses[response.status_code] += 1
        return response

    def validate(self, response: Response, case: Case) -> None:
        case.validate_response(response, checks=_CHECKS)


async def filled(parts: Parts) -> None:
    """Episodes and jobs in every state, so that valid requests find something."""
    await parts.upload("show")
    await parts.finished()
    (row,) = await parts.rows("SELECT uri FROM artifacts WHERE kind = 'identities'")
    parts.store.put_bytes(
        row["uri"], b'{"identities": [{"identity_id": "id_0001", "track_ids": [1]}], "stats": {}}'
    )
    await parts.upload("other")
    await parts.submit(ep_id="other")
    cancelled = await parts.submitted(JobKind.DETECT_TRACK)
    await parts.jobs.cancel(cancelled)


# The orchestrator runs in this process too, and its waits are jittered while a request is made up.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
async def test_every_answer_to_a_generated_request_is_as_described(
    api: httpx.AsyncClient, parts: Parts, record_property: Callable[[str, object], None]
) -> None:
    await filled(parts)
    fuzz = Fuzz((await api.get("/openapi.json")).json(), str(api.base_url))

    def everything() -> None:
        for operation in fuzz.operations():
            for mode in GenerationMode:
                fuzz.one_by_one(operation, mode)
        fuzz.in_chains()

    await asyncio.to_thread(everything)
    record_property("requests", sum(fuzz.asked.values()))
    record_property("statuses", dict(fuzz.statuses))
    assert sum(fuzz.asked.values()) >= sized(100, 3_000)
