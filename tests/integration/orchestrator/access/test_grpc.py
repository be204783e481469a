"""The same callers over gRPC: every method of the protos, asked for real by nobody and by a caller of each scope."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.orchestrator.access.exposure import AccessMode
from services.orchestrator.operations import OPERATIONS, Operation, Scope
from services.orchestrator.settings import AccessSettings
from services.pb.screenalytics.v1 import api_pb2, api_pb2_grpc
from tests.integration.orchestrator.access.conftest import REQUIRED, Issuer, Keys, bearer
from tests.integration.orchestrator.access.test_credentials import BAD_TOKENS
from tests.integration.orchestrator.conftest import ServeBoth, Served
from tests.integration.orchestrator.grpc_client import Rpcs, fault_of
from tests.integration.parts import VIDEO, Parts, until

OF_METHOD = {operation.grpc_name: operation for operation in OPERATIONS if not operation.rest_only}
Metadata = tuple[tuple[str, str], ...]
DENIED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


@pytest.fixture
async def secured(serve_both: ServeBoth, issuer: Issuer) -> AsyncIterator[Served]:
    async with serve_both(groups={"access": REQUIRED, "oidc": issuer.settings()}, reflection=True) as both:
        yield both


def methods() -> Iterator[tuple[str, bool, Operation]]:
    """(path, is a stream, operation) of every method that the protos have."""
    for service in api_pb2.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            yield f"/{service.full_name}/{method.name}", method.server_streaming, OF_METHOD[method.name]


def metadata(headers: dict[str, str]) -> Metadata:
    return tuple((name.lower(), value) for name, value in headers.items())


async def code(channel: Any, path: str, sent: Metadata, *, is_stream: bool) -> grpc.StatusCode:
    plain = {"request_serializer": bytes, "response_deserializer": bytes}
    try:
        if is_stream:
            async for _ in channel.unary_stream(path, **plain)(b"", metadata=sent, timeout=20):
                break
        else:
            await channel.unary_unary(path, **plain)(b"", metadata=sent, timeout=20)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_each_method_is_for_callers_of_its_scope_and_for_nobody_else(
    secured: Served, keys: Keys, issuer: Issuer
) -> None:
    callers = {
        scope: [metadata(await keys.headers(scope)), metadata(bearer(issuer.token(scope=scope)))]
        for scope in Scope
    }
    asked = set()
    for path, is_stream, operation in methods():
        asked.add(operation.name)
        assert await code(secured.grpc, path, (), is_stream=is_stream) is grpc.StatusCode.UNAUTHENTICATED, path
        for scope, credentials in callers.items():
            for sent in credentials:
                found = await code(secured.grpc, path, sent, is_stream=is_stream)
                if scope is operation.scope:
                    assert found not in {*DENIED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}, (
                        path,
                        found,
                    )
                else:
                    assert found is grpc.StatusCode.PERMISSION_DENIED, (path, scope, found)
    assert asked == {operation.name for operation in OF_METHOD.values()}


async def test_no_bad_token_or_key_is_taken(secured: Served, issuer: Issuer, keys: Keys) -> None:
    revoked = await keys.text(Scope.READ)
    await keys.keys.revoke(revoked.split("_")[1])
    bad = {what: made(issuer) for what, made in BAD_TOKENS.items() if "length" not in what} | {
        "revoked": revoked
    }
    for what, text in bad.items():
        sent = metadata(bearer(text))
        found = await code(secured.grpc, "/screenalytics.v1.Jobs/ListJobs", sent, is_stream=False)
        assert found is grpc.StatusCode.UNAUTHENTICATED, what


async def test_health_is_for_everybody_and_the_description_for_readers(secured: Served, keys: Keys) -> None:
    stub = health_pb2_grpc.HealthStub(secured.grpc)
    assert (await stub.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING

    async def listed(sent: Metadata) -> grpc.StatusCode:
        """A client that is refused while it still sends may fail over that, without a word from the server."""
        for _ in range(5):
            error = await refusal(sent)
            if error is None:
                return grpc.StatusCode.OK
            if error.code() is not grpc.StatusCode.INTERNAL or error.trailing_metadata():
                return error.code()
        raise AssertionError("the client never got to hear what the server says")

    async def refusal(sent: Metadata) -> grpc.aio.AioRpcError | None:
        reflect = reflection_pb2_grpc.ServerReflectionStub(secured.grpc)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        try:
            async for answer in reflect.ServerReflectionInfo(iter([request]), metadata=sent):
                assert answer.list_services_response.service
        except grpc.aio.AioRpcError as error:
            return error
        return None

    assert await listed(()) is grpc.StatusCode.UNAUTHENTICATED
    assert await listed(metadata(await keys.headers(Scope.ADMIN))) is grpc.StatusCode.PERMISSION_DENIED
    assert await listed(metadata(await keys.headers(Scope.READ))) is grpc.StatusCode.OK


async def test_the_log_tells_of_calls_as_it_does_for_rest(secured: Served, keys: Keys, parts: Parts) -> None:
    await parts.upload()
    text = await keys.text(Scope.SUBMIT)
    sent = (*metadata(bearer(text)), ("x-request-id", "mine"))
    jobs = api_pb2_grpc.JobsStub(secured.grpc)
    job = await jobs.SubmitJob(api_pb2.SubmitJobRequest(ep_id="show", device=api_pb2.DEVICE_CPU), metadata=sent)
    assert job.submitted_by == f"key:{text.split('_')[1]}"
    with pytest.raises(grpc.aio.AioRpcError):
        await jobs.CancelJob(api_pb2.CancelJobRequest(job_id="nothing"), metadata=sent)
    with pytest.raises(grpc.aio.AioRpcError):
        await jobs.ListJobs(api_pb2.ListJobsRequest())
    admin = await keys.headers(Scope.ADMIN)

    async def logged() -> list[dict[str, Any]]:
        found = (await secured.http.get("/v1/audit", headers=admin)).json()["entries"]
        return list(found) if len(found) == 3 else []

    found = await until(logged)
    assert {(e["operation"], e["outcome"], e["who"]) for e in found} == {
        ("submit_job", "ok", f"key:{text.split('_')[1]}"),
        ("cancel_job", "not-found", f"key:{text.split('_')[1]}"),
        ("list_jobs", "unauthenticated", ""),
    }
    of_the_job = await secured.http.get("/v1/audit", params={"resource": f"jobs/{job.job_id}"}, headers=admin)
    assert [(e["request_id"], e["remote"]) for e in of_the_job.json()["entries"]] == [("mine", "127.0.0.1")]


async def test_a_refusal_is_told_as_any_other_error(secured: Served) -> None:
    status, reason, told = await fault_of(Rpcs(secured.grpc)("GetJob", job_id="x"))
    assert (status, reason) == ("UNAUTHENTICATED", "unauthenticated")
    assert "Bearer" in told["hint"]


async def test_too_many_calls_are_refused_for_a_while(serve_both: ServeBoth, keys: Keys) -> None:
    access = AccessSettings(mode=AccessMode.REQUIRED, calls_per_second=0.001, call_burst=1)
    sent = metadata(await keys.headers(Scope.READ))
    async with serve_both(groups={"access": access}) as both:
        path = "/screenalytics.v1.Jobs/ListJobs"
        found = [await code(both.grpc, path, sent, is_stream=False) for _ in range(2)]
        assert found == [grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED]


async def test_a_change_that_its_caller_gave_up_is_in_the_audit_log(
    secured: Served, keys: Keys, parts: Parts
) -> None:
    job_id = await parts.submitted()
    sent = metadata(await keys.headers(Scope.SUBMIT))
    async with await psycopg.AsyncConnection.connect(parts.database.dsn) as locking:
        await locking.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await Rpcs(secured.grpc, metadata=sent, timeout=0.3)("CancelJob", job_id=job_id)
        await locking.rollback()
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    async def remembered() -> list[tuple[str, str]]:
        rows = await parts.rows("SELECT operation, outcome FROM audit_log")
        return [(row["operation"], row["outcome"]) for row in rows]

    assert await until(remembered) == [("cancel_job", "cancelled")]


async def test_each_caller_has_idempotency_keys_of_their_own(secured: Served, keys: Keys, parts: Parts) -> None:
    await parts.upload("one")
    await parts.upload("two", VIDEO + b"more")
    mine, theirs = await keys.text(Scope.SUBMIT), await keys.text(Scope.SUBMIT)

    async def over_rest(key: str, ep_id: str) -> str:
        headers = {**bearer(key), "Idempotency-Key": "1"}
        answer = await secured.http.post("/v1/jobs", json={"ep_id": ep_id, "device": "cpu"}, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    async def over_grpc(key: str, ep_id: str) -> str:
        rpcs = Rpcs(secured.grpc, metadata=metadata(bearer(key)))
        return str((await rpcs("SubmitJob", ep_id=ep_id, device="DEVICE_CPU", request_id="1")).job_id)

    first, second = await over_rest(mine, "one"), await over_grpc(theirs, "two")
    assert first != second
    assert (await over_grpc(mine, "one"), await over_rest(theirs, "two")) == (first, second)
