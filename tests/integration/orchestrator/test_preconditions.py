"""Tags, conditional reads, and changes that are refused when somebody else was faster."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.integration.orchestrator.test_http import is_problem, started, upload
from tests.integration.parts import Parts

SHOW = "/v1/episodes/show"


async def edit(
    api: httpx.AsyncClient, body: dict[str, Any], *, mask: str | None = None, if_match: str | None = None
) -> httpx.Response:
    params = {} if mask is None else {"update_mask": mask}
    return await api.patch(SHOW, json=body, params=params, headers=if_matching(if_match))


def if_matching(tag: str | None) -> dict[str, str]:
    return {} if tag is None else {"If-Match": tag}


async def test_an_episode_is_described_and_keeps_what_is_not_named(api: httpx.AsyncClient) -> None:
    await upload(api)
    first = await edit(api, {"title": "Pilot", "labels": {"season": "1", "team": "a"}})
    assert (first.status_code, first.json()["title"]) == (200, "Pilot")
    second = (await edit(api, {"labels": {"season": "2"}})).json()
    assert (second["title"], second["labels"]) == ("Pilot", {"season": "2"})
    assert (await api.get(SHOW)).json() == second


async def test_a_mask_says_what_of_the_body_counts_and_clears_what_it_lacks(api: httpx.AsyncClient) -> None:
    await upload(api)
    both = {"title": "Pilot", "labels": {"season": "1"}}
    await edit(api, both)
    masked = (await edit(api, {"title": "Other", "labels": {"season": "2"}}, mask="title")).json()
    assert (masked["title"], masked["labels"]) == ("Other", {"season": "1"})
    assert (await edit(api, {}, mask="labels")).json()["labels"] == {}
    whole = (await edit(api, {"labels": {"a": "b"}}, mask="*")).json()
    assert (whole["title"], whole["labels"]) == ("", {"a": "b"})
    answer = await edit(api, both, mask="title, sha256")
    assert is_problem(answer, 400, "invalid-request")
    assert "sha256" in answer.json()["detail"]


MISFITS: list[dict[str, Any]] = [
        {"title": "x" * 201}, {"title": "a\nb"}, {"title": None}, {"title": 5}, {"labels": []}, {"nobody": 1},
        {"labels": {"Upper": "x"}}, {"labels": {"": "x"}}, {"labels": {"a": "x" * 256}}, {"labels": {"a": 1}},
        {"labels": {"a": "nul\x00"}}, {"labels": {f"k{n}": "" for n in range(65)}},
]  # fmt: skip


async def test_what_does_not_fit_is_refused(api: httpx.AsyncClient) -> None:
    await upload(api)
    before = (await api.get(SHOW)).json()
    for body in MISFITS:
        assert is_problem(await edit(api, body), 400, "invalid-request"), body
    assert (await api.get(SHOW)).json() == before


async def test_a_read_of_what_the_caller_has_is_left_out(api: httpx.AsyncClient) -> None:
    job_id = await started(api)
    for path in (SHOW, f"/v1/jobs/{job_id}"):
        tag = (first := await api.get(path)).headers["etag"]
        assert tag == f'"{first.json()["etag"]}"'
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            again = await api.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await api.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_whatever_changes_gets_another_tag(api: httpx.AsyncClient, parts: Parts) -> None:
    job_id = await started(api)
    job, episode = [(await api.get(p)).headers["etag"] for p in (f"/v1/jobs/{job_id}", SHOW)]
    task = await parts.task(job_id)
    await parts.claim(task)
    assert (await api.get(f"/v1/jobs/{job_id}")).headers["etag"] != job
    assert (await api.get(SHOW)).headers["etag"] == episode
    await edit(api, {"title": "Pilot"})
    assert (await api.get(SHOW)).headers["etag"] != episode


async def test_a_lost_update_is_refused(api: httpx.AsyncClient) -> None:
    await upload(api)
    tag = (await api.get(SHOW)).headers["etag"]
    assert (await edit(api, {"title": "mine"}, if_match=tag)).status_code == 200
    late = await edit(api, {"title": "late"}, if_match=tag)
    assert is_problem(late, 412, "precondition-failed")
    assert (await api.get(SHOW)).json()["title"] == "mine"
    for not_strong in (f"W/{(await api.get(SHOW)).headers['etag']}", '"other"'):
        assert is_problem(await edit(api, {}, if_match=not_strong), 412, "precondition-failed")
    assert (await edit(api, {"title": "any"}, if_match="*")).status_code == 200


async def test_of_many_at_once_with_one_tag_one_wins(api: httpx.AsyncClient) -> None:
    await upload(api)
    tag = (await api.get(SHOW)).headers["etag"]
    answers = await asyncio.gather(*(edit(api, {"title": f"t{n}"}, if_match=tag) for n in range(20)))
    assert sorted(a.status_code for a in answers) == [200] + [412] * 19
    (won,) = [a.json()["title"] for a in answers if a.status_code == 200]
    assert (await api.get(SHOW)).json()["title"] == won


async def test_a_job_is_cancelled_only_as_it_was_seen_where_that_is_asked(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    job_id = await started(api)
    queued = (await api.get(f"/v1/jobs/{job_id}")).headers["etag"]
    await parts.claim(await parts.task(job_id))
    late = await api.post(f"/v1/jobs/{job_id}:cancel", headers=if_matching(queued))
    assert is_problem(late, 412, "precondition-failed")
    running = await api.get(f"/v1/jobs/{job_id}")
    assert running.json()["state"] == "running"
    done = await api.post(f"/v1/jobs/{job_id}:cancel", headers=if_matching(running.headers["etag"]))
    assert (done.status_code, done.json()["state"]) == (200, "cancelled")


async def test_a_condition_that_is_none_is_bad_input(api: httpx.AsyncClient) -> None:
    await upload(api)
    for text in ("", "abc", '"a', '"a" "b"', '"a",', "W/", '"a", *'):
        assert is_problem(await api.get(SHOW, headers={"If-None-Match": text}), 400, "invalid-request"), text
        assert is_problem(await edit(api, {}, if_match=text), 400, "invalid-request"), text
