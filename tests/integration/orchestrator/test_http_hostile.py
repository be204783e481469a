"""Hostile requests: every answer is a problem document that blames the request, never a 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx

from tests.integration.parts import VIDEO, Parts

HUGE = "9" * 4000
NAMES = [
    "%00",
    "..%2f..%2fetc%2fpasswd",
    "a%2Fb",
    "%ff%fe",
    "%0a",
    "a%0a",
    "*",
    "'; DROP TABLE jobs;--",
    HUGE,
    "é",
]
PATHS = [
    "/v1/episodes/{}", "/v1/episodes/{}/status", "/v1/episodes/{}/identities", "/v1/episodes/{}/artifacts",
    "/v1/episodes/{}/artifacts/tracks", "/v1/episodes/{}/exports", "/v1/episodes/{}/exports/tracks.jsonl",
    "/v1/episodes/{}/exports/runs/cluster.json", "/v1/jobs/{}", "/v1/jobs/{}/events", "/v1/nothing/{}",
    "/v1/episodes/show/artifacts/{}", "/v1/episodes/show/exports/{}", "/v1/episodes/show/exports/runs/{}.json",
    "/v1/jobs?ep_id={}", "/v1/jobs?stage={}", "/v1/jobs?limit={}", "/v1/jobs?active={}", "/v1/episodes?page_size={}",
    "/v1/episodes?page_token={}", "/v1/episodes/show/exports?format={}",
]  # fmt: skip
BODIES: list[bytes] = [
    b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe", b"{}", b'{"ep_id": 5}', b'{"ep_id": null}',
    b'{"ep_id": "show", "extra": 1}', b'{"ep_id": "show", "device": "tpu"}', b'{"ep_id": "a/b", "device": "cpu"}',
    b'{"ep_id": "a\\u0000b", "device": "cpu"}', b'{"ep_id": "\\ud800", "device": "cpu"}', b'{"\\ud800": 1}',
    b'{"ep_id": "show", "\\ud800": 1}', b"[" * 50_000, b'{"ep_id":' * 3_000,
    b'{"ep_id": "show", "overrides": {"\\ud800": 1}, "device": "cpu"}',
]  # fmt: skip
OVERRIDES: list[Any] = [
    {"stride": 0}, {"stride": 10**400}, {"stride": "x"}, {"nobody": 1}, {"detector": [1]}, {"detector": {}},
    {"detector": "x\x00"}, {"embedder": None}, {"cut_threshold": float("inf")}, {"cut_ratio": float("nan")},
    {"track_threshold": 1e400}, {"embedder": "../../etc"}, {"": 1}, {"detector": "\ud800"}, [], "text", 5,
]  # fmt: skip


def assert_blames_the_request(answer: httpx.Response, what: object) -> None:
    assert 400 <= answer.status_code < 500, (what, answer.status_code, answer.text[:300])
    assert answer.headers["content-type"] == "application/problem+json", (what, answer.text[:300])
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["detail"]


async def uploaded(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/episodes", params={"ep_id": "show"}, content=VIDEO)
    assert answer.status_code == 201


async def test_hostile_names_in_every_path_and_query(api: httpx.AsyncClient) -> None:
    await uploaded(api)
    for path in PATHS:
        for name in NAMES:
            answer = await api.get(path.format(name))
            if path.startswith("/v1/jobs?ep_id=") and "%00" not in name:
                assert answer.status_code == 200, (path, name)
            else:
                assert_blames_the_request(answer, (path, name))


async def test_hostile_bodies_of_a_submit(api: httpx.AsyncClient) -> None:
    await uploaded(api)
    headers = {"Content-Type": "application/json"}
    for body in BODIES:
        assert_blames_the_request(await api.post("/v1/jobs", content=body, headers=headers), body[:60])


async def test_hostile_overrides_of_a_submit(api: httpx.AsyncClient) -> None:
    await uploaded(api)
    for overrides in OVERRIDES:
        body = json.dumps({"ep_id": "show", "device": "cpu", "overrides": overrides})
        answer = await api.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
        assert_blames_the_request(answer, overrides)


async def test_wrong_content_types_and_methods(api: httpx.AsyncClient) -> None:
    good = b'{"ep_id": "show", "device": "cpu"}'
    for content_type in ("text/plain", "application/xml", "multipart/form-data", "nonsense"):
        answer = await api.post("/v1/jobs", content=good, headers={"Content-Type": content_type})
        assert_blames_the_request(answer, content_type)
    for method, path in (("DELETE", "/v1/jobs"), ("PUT", "/v1/episodes/show"), ("PATCH", "/livez")):
        assert_blames_the_request(await api.request(method, path), (method, path))


async def test_a_slash_too_many_leads_nowhere_else(api: httpx.AsyncClient) -> None:
    """A redirect would go to the host and scheme that the request names, and take a body along."""
    for method, path in (
        ("GET", "/v1/jobs/"),
        ("POST", "/v1/episodes/"),
        ("GET", "//v1/jobs"),
        ("GET", "/docs/"),
    ):
        answer = await api.request(method, path, content=VIDEO if method == "POST" else b"")
        assert_blames_the_request(answer, path)
        assert answer.status_code == 404
        assert "location" not in answer.headers


async def test_a_body_that_would_fill_the_memory_is_ended(api: httpx.AsyncClient) -> None:
    async def padded(body: bytes) -> AsyncIterator[bytes]:
        yield body
        for _ in range(32):
            yield b" " * (1 << 20)

    bodies = {
        ("POST", "/v1/jobs"): b'{"ep_id": "show", "device": "cpu"}',
        ("PATCH", "/v1/episodes/show"): b'{"title": "x"}',
        ("POST", "/v1/keys"): b'{"name": "x", "scopes": ["read"]}',
    }
    json_type = {"Content-Type": "application/json"}
    for (method, path), body in bodies.items():
        announced = await api.request(method, path, content=body + b" " * (1 << 20), headers=json_type)
        assert_blames_the_request(announced, path)
        assert (announced.status_code, announced.json()["code"]) == (413, "too-large")
        with suppress(httpx.WriteError):  # it may be refused before it was all written
            ended = await api.request(method, path, content=padded(body), headers=json_type)
            assert (ended.status_code, ended.json()["code"]) == (413, "too-large")
    assert (await api.get("/v1/keys")).json()["keys"] == []


async def test_hostile_uploads(api: httpx.AsyncClient, parts: Parts) -> None:
    cases: list[tuple[dict[str, Any], bytes]] = [
        ({"ep_id": name}, VIDEO) for name in ("a/b", "../x", "A", "a\x00", "a\n", "x" * 129, "")
    ]
    cases += [
        ({"filename": "nul\x00.mp4"}, VIDEO),
        ({"replace": "perhaps"}, VIDEO),
        ({}, b""),
        ({}, b"#EXTM3U\n"),
    ]
    for query, content in cases:
        assert_blames_the_request(await api.post("/v1/episodes", params=query, content=content), query)
    assert list(parts.store.keys("")) == []


async def test_paths_of_the_server_are_not_taken(api: httpx.AsyncClient) -> None:
    for body in (b'{"path": "/etc/passwd"}', b'{"path": "a\\u0000"}', b"{", b'{"path": 5}', b'{"\\ud800": 1}'):
        answer = await api.post("/v1/episodes", content=body, headers={"Content-Type": "application/json"})
        assert_blames_the_request(answer, body)


async def test_hostile_positions_in_an_event_stream(api: httpx.AsyncClient, parts: Parts) -> None:
    await uploaded(api)
    job_id = await parts.submit()
    await parts.jobs.cancel(job_id)
    for position in ("x", "-1", "1.5", "", "1e3", "0x10", "9" * 5000, "é".encode()):
        headers: Any = {"Last-Event-ID": position}
        answer = await api.get(f"/v1/jobs/{job_id}/events", headers=headers)
        assert_blames_the_request(answer, position)
    far = await api.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "9" * 40})
    assert far.status_code == 200
    assert far.text.startswith("event: end")


async def test_a_malformed_request_does_not_end_the_server(api: httpx.AsyncClient) -> None:
    assert api.base_url.port is not None
    for request in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.base_url.port)
        writer.write(request)
        await writer.drain()
        assert b" 500 " not in await asyncio.wait_for(reader.readline(), 10)
        writer.close()
        await writer.wait_closed()
    assert (await api.get("/livez")).status_code == 200
