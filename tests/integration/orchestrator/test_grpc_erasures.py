"""Erasure and the trash over gRPC, with the orchestrator's agents at work."""

from __future__ import annotations

import pytest

from services.orchestrator.settings import ErasureSettings
from services.pb.screenalytics.v1 import api_pb2
from tests.integration.orchestrator.conftest import Served
from tests.integration.orchestrator.grpc_client import Rpcs, fault_of, filled, shown
from tests.integration.parts import Parts, until


@pytest.fixture
def parts(parts: Parts) -> Parts:
    return parts.limited(erasure=ErasureSettings(settle_s=0))


@pytest.fixture
async def rpcs(both: Served, parts: Parts) -> Rpcs:
    await parts.upload()
    return Rpcs(both.grpc)


async def test_an_erasure_says_over_grpc_what_it_says_over_rest(both: Served, rpcs: Rpcs, parts: Parts) -> None:
    job_id = await parts.submit(ep_id="show")
    receipt = await rpcs("EraseEpisode", ep_id="show")
    assert (receipt.reason, receipt.counts["jobs"]) == (api_pb2.ERASURE_REASON_REQUESTED, 1)

    async def is_done() -> bool:
        found = await rpcs("GetErasure", erasure_id=receipt.erasure_id)
        return bool(found.state == api_pb2.ERASURE_STATE_DONE)

    await until(is_done)
    over_rest = await both.http.get(f"/v1/erasures/{receipt.erasure_id}")
    assert shown(await rpcs("GetErasure", erasure_id=receipt.erasure_id)) == filled(over_rest.json()) | {
        "counts": over_rest.json()["counts"]
    }
    for name, asked in (
        ("GetEpisode", {"ep_id": "show"}),
        ("GetJob", {"job_id": job_id}),
        ("EraseEpisode", {"ep_id": "show"}),
        ("TrashEpisode", {"ep_id": "show"}),
        ("RestoreEpisode", {"ep_id": "show"}),
        ("GetErasure", {"erasure_id": "none"}),
    ):
        assert (await fault_of(rpcs(name, **asked)))[:2] == ("NOT_FOUND", "not-found"), name
    assert list(parts.store.keys("")) == []


async def test_the_trash_hides_an_episode_until_it_is_restored(rpcs: Rpcs, parts: Parts) -> None:
    job_id = await parts.submit(ep_id="show")
    trashed = await rpcs("TrashEpisode", ep_id="show")
    assert trashed.purge_at.ToDatetime() > trashed.trashed_at.ToDatetime()
    assert (await fault_of(rpcs("GetEpisode", ep_id="show")))[1] == "not-found"
    assert list((await rpcs("ListEpisodes")).episodes) == []
    hidden = await rpcs("GetEpisode", ep_id="show", show_deleted=True)
    assert hidden.purge_at == trashed.purge_at
    assert [e.ep_id for e in (await rpcs("ListEpisodes", show_deleted=True)).episodes] == ["show"]
    restored = await rpcs("RestoreEpisode", ep_id="show")
    assert not restored.HasField("purge_at")
    assert (await rpcs("GetJob", job_id=job_id)).state == api_pb2.STATE_CANCELLED
    assert (await fault_of(rpcs("RestoreEpisode", ep_id="show")))[1] == "conflict"


async def test_who_watches_a_job_hears_of_its_erasure(rpcs: Rpcs, parts: Parts) -> None:
    job_id = await parts.submit(ep_id="show")
    events = aiter(rpcs("WatchJob", job_id=job_id))
    assert (await anext(events)).WhichOneof("event") == "state"
    await rpcs("EraseEpisode", ep_id="show")
    rest = [event async for event in events]
    assert rest[-1].WhichOneof("event") == "end"
    assert rest[-1].end.state == api_pb2.STATE_UNSPECIFIED
