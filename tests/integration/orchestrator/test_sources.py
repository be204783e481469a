"""Episodes by the URI of their video, over HTTP and from object stores."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.orchestrator.settings import MediaSettings, SourcesSettings
from tests.integration.orchestrator.conftest import ServeBoth, Served
from tests.integration.orchestrator.grpc_client import Rpcs, fault_of, filled, shown
from tests.integration.parts import VIDEO, Parts
from tests.integration.remote import Authority, Remote, Request, answer, serving

SHA256 = hashlib.sha256(VIDEO).hexdigest()


def handle(request: Request) -> bytes:
    match request.path.partition("?")[0]:
        case "/My%20Show.mp4":
            return answer(body=VIDEO)
        case "/playlist.mp4":
            return answer(body=b"#EXTM3U\nfile:///etc/passwd\n")
        case "/large.mp4":
            return answer(body=VIDEO + bytes(200_000))
        case "/inner":
            return answer(302, Location="https://127.0.0.2/")
    return answer(404)


@pytest.fixture
async def remote(tmp_path: Path) -> AsyncIterator[tuple[Remote, Authority]]:
    authority = Authority(tmp_path)
    async with serving(handle, authority.server("127.0.0.1")) as server:
        yield server, authority


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder that may be read, beside one that may not."""
    folder = tmp_path / "shelf"
    (folder / "season").mkdir(parents=True)
    (folder / "season" / "show.mp4").write_bytes(VIDEO)
    (tmp_path / "shelf2").mkdir()
    (tmp_path / "shelf2" / "show.mp4").write_bytes(VIDEO)
    (tmp_path / "secret.mp4").write_bytes(VIDEO)
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    os.mkfifo(folder / "pipe.mp4")
    return folder


@pytest.fixture
def groups(remote: tuple[Remote, Authority], shelf: Path) -> dict[str, Any]:
    server, authority = remote
    return {
        "outbound": authority.settings(server.port, allow_networks=("127.0.0.1/32",)),
        "sources": SourcesSettings(prefixes={shelf.as_uri(): {}}),
        "media": MediaSettings(max_upload_bytes=100_000),
    }


@pytest.fixture
async def both(serve_both: ServeBoth, groups: dict[str, Any]) -> AsyncIterator[Served]:
    async with serve_both(groups=groups) as served:
        yield served


async def register(api: httpx.AsyncClient, uri: str, **fields: Any) -> httpx.Response:
    return await api.post("/v1/episodes", json={"source_uri": uri} | fields)


async def test_a_video_is_fetched_checked_and_named(
    api: httpx.AsyncClient, parts: Parts, remote: tuple[Remote, Authority]
) -> None:
    uri = f"https://127.0.0.1:{remote[0].port}/My%20Show.mp4?signature=secret"
    first = await register(api, uri, sha256=SHA256)
    assert (first.status_code, first.json()["ep_id"]) == (201, f"my-show-{SHA256[:8]}")
    (row,) = await parts.rows("SELECT * FROM episodes")
    assert parts.store.get_bytes(row["media_uri"]) == VIDEO
    assert "secret" not in str(row)
    again = await register(api, uri)
    assert (again.status_code, again.json()) == (200, first.json())


REFUSED: tuple[tuple[str, dict[str, Any], int, str], ...] = (
    ("/My%20Show.mp4", {"sha256": "0" * 64}, 400, "digest-mismatch"),
    ("/My%20Show.mp4", {"sha256": "zz"}, 400, "invalid-request"),
    ("/My%20Show.mp4", {"ep_id": "../x"}, 400, "invalid-request"),
    ("/My%20Show.mp4", {"path": "/etc/passwd"}, 400, "invalid-request"),
    ("/playlist.mp4", {}, 422, "invalid-media"),
    ("/large.mp4", {}, 413, "too-large"),
    ("/nothing", {}, 422, "remote-unavailable"),
    ("/inner", {}, 422, "address-refused"),
)


async def test_what_cannot_be_registered_is_a_problem_and_leaves_nothing(
    api: httpx.AsyncClient, parts: Parts, remote: tuple[Remote, Authority]
) -> None:
    for path, fields, status, code in REFUSED:
        refused = await register(api, f"https://127.0.0.1:{remote[0].port}{path}", **fields)
        assert (refused.status_code, refused.json()["code"]) == (status, code), path
        assert refused.headers["content-type"] == "application/problem+json"
    assert list(parts.store.keys("")) == []
    assert await parts.rows("SELECT 1 FROM episodes") == []


async def test_grpc_says_the_same(both: Served, remote: tuple[Remote, Authority]) -> None:
    rpcs, origin = Rpcs(both.grpc), f"https://127.0.0.1:{remote[0].port}"
    for path, fields, _, code in REFUSED:
        _, reason, _ = await fault_of(rpcs("RegisterEpisode", source_uri=origin + path, **fields))
        assert reason == code, path
    assert (await fault_of(rpcs("RegisterEpisode")))[1] == "invalid-request"
    done = await rpcs("RegisterEpisode", source_uri=f"{origin}/My%20Show.mp4", sha256=SHA256, ep_id="show")
    again = await register(both.http, f"{origin}/My%20Show.mp4", ep_id="show")
    assert (again.status_code, filled(again.json())) == (200, filled(shown(done)))


async def test_a_fetch_may_last_longer_than_a_call(
    serve_both: ServeBoth, groups: dict[str, Any], remote: tuple[Remote, Authority]
) -> None:
    async with serve_both(groups=groups, deadline_s=0.0001) as both:
        rpcs = Rpcs(both.grpc)
        uri = f"https://127.0.0.1:{remote[0].port}/My%20Show.mp4"
        assert (await rpcs("RegisterEpisode", source_uri=uri, ep_id="show")).ep_id == "show"
        assert (await fault_of(rpcs("GetEpisode", ep_id="show")))[1] == "deadline-exceeded"


async def test_a_request_that_is_too_long_to_be_one_is_not_held(api: httpx.AsyncClient) -> None:
    refused = await register(api, "https://127.0.0.1/" + "a" * 100_000)
    assert (refused.status_code, refused.json()["code"]) == (413, "too-large")


async def test_a_file_below_a_prefix_is_registered(api: httpx.AsyncClient, shelf: Path) -> None:
    done = await register(api, f"{shelf.as_uri()}/season/show.mp4", ep_id="show", sha256=SHA256)
    assert (done.status_code, done.json()["sha256"]) == (201, SHA256)


OUTSIDE = (
    "/season/../../secret.mp4",
    "/../secret.mp4",
    "/%2e%2e/secret.mp4",
    "/..%2fsecret.mp4",
    "//secret.mp4",
    "2/show.mp4",
    "",
    "/",
    "/link.mp4",
    "/pipe.mp4",
    "/season",
)
ELSEWHERE = ("s3://bucket/a.mp4", "file:///etc/passwd", "ftp://x/a", "concat:a|b", "a.mp4", "")


async def test_nothing_outside_of_a_prefix_is_read(api: httpx.AsyncClient, shelf: Path) -> None:
    for uri in (*(f"{shelf.as_uri()}{key}" for key in OUTSIDE), *ELSEWHERE):
        assert (await register(api, uri)).json()["code"] == "address-refused", uri
    assert (await register(api, f"{shelf.as_uri()}/nobody.mp4")).json()["code"] == "not-found"
