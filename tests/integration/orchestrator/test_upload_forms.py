"""Videos in forms and with digests: streamed, and never registered when they are not what was announced."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterable

import httpx
import pytest

from services.kit.errors import InvalidRequest
from services.orchestrator.digests import sha256_from_fields
from services.orchestrator.http_api.forms import UploadForm
from tests.integration.parts import VIDEO, Parts

BOUNDARY = "----part"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
SHA256 = hashlib.sha256(VIDEO).digest()


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    given = f'; filename="{filename}"' if filename else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{given}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
FILE = part("file", VIDEO, "My Show.mp4")


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def send(api: httpx.AsyncClient, content: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.post("/v1/episodes", content=content, headers=FORM | named)


async def test_a_file_in_a_form_is_an_episode(api: httpx.AsyncClient, parts: Parts) -> None:
    fields = part("ep_id", b"show") + part("replace", b"true") + part("sha256", SHA256.hex().encode())
    done = await send(api, fields + FILE + END)
    assert (done.status_code, done.json()["filename"], done.json()["ep_id"]) == (201, "My Show.mp4", "show")
    (row,) = await parts.rows("SELECT media_uri FROM episodes")
    assert parts.store.get_bytes(row["media_uri"]) == VIDEO


async def test_the_form_of_another_library_is_read(api: httpx.AsyncClient) -> None:
    done = await api.post("/v1/episodes?ep_id=show", files={"file": ("a.mp4", VIDEO, "video/mp4")})
    assert (done.status_code, done.json()["sha256"]) == (201, SHA256.hex())


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 1 << 20])
async def test_a_form_is_read_whatever_its_pieces(size: int) -> None:
    tricky = VIDEO + f"\r\n--{BOUNDARY[:-1]}\r\n--".encode()
    body = part("ep_id", b"show") + part("file", tricky, "a.mp4") + END
    form = UploadForm(FORM["Content-Type"], pieces(body, size), frozenset({"ep_id"}))
    await form.open()
    assert form.fields == {"ep_id": "show"}
    assert b"".join([chunk async for chunk in form.chunks()]) == tricky


async def test_a_file_in_a_form_is_passed_on_before_it_has_come_as_a_whole() -> None:
    """What is held at once is what came at once."""
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        yield part("file", b"x", "a.mp4")[:-2]
        for taken in range(1, 1000):  # noqa: B007
            yield bytes(1000)
        yield b"\r\n" + END

    form = UploadForm(FORM["Content-Type"], body(), frozenset())
    await form.open()
    held = 0
    async for chunk in form.chunks():
        held += len(chunk)
        assert taken * 1000 - held <= 1000
    assert held == 999_001


NO_FORMS = (
    b"",
    b"no form at all",
    END,
    part("ep_id", b"show") + END,
    FILE,
    FILE[:2000],
    FILE + part("ep_id", b"show") + END,
    FILE + FILE + END,
    part("unknown", b"x") + FILE + END,
    part("ep_id", b"x" * 5000) + FILE + END,
    part("ep_id", b"\xff\x00") + FILE + END,
    part("replace", b"perhaps") + FILE + END,
    part("sha256", b"abc") + FILE + END,
    part("ep_id" * 5000, b"x") + FILE + END,
    b"--" + BOUNDARY.encode() + b"\r\nno header\r\n\r\n" + FILE + END,
)


async def test_a_form_that_is_none_is_refused_and_leaves_nothing(api: httpx.AsyncClient, parts: Parts) -> None:
    for body in NO_FORMS:
        refused = await send(api, body)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid-request"), body[:200]
    assert list(parts.store.keys("")) == []


async def test_a_form_without_a_usable_boundary_is_refused(api: httpx.AsyncClient) -> None:
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=" + "x" * 300):
        assert (await send(api, FILE, Content_Type=content_type)).status_code == 400


async def test_a_digest_of_the_body_is_checked(api: httpx.AsyncClient, parts: Parts) -> None:
    form = FILE + END
    for content, headers in ((VIDEO, {"Content-Type": "video/mp4"}), (form, FORM)):
        for name in ("Content-Digest", "Repr-Digest"):
            refused = await api.post("/v1/episodes", content=content, headers=headers | {name: digest(b"x")})
            assert (refused.status_code, refused.json()["code"]) == (400, "digest-mismatch")
            assert list(parts.store.keys("")) == []
    for content, headers in ((VIDEO, {"Content-Type": "video/mp4"}), (form, FORM)):
        sent = f"sha-512=:AAAA:, {digest(content)}"
        done = await api.post(
            "/v1/episodes?filename=My Show.mp4", content=content, headers=headers | {"Content-Digest": sent}
        )
        assert done.status_code < 300


@pytest.mark.parametrize(
    "field", ["sha-256", "sha-256=abc", "sha-256=:abc:", "sha-256=:AAAA:", "=", "sha-256=:é:", ",", "a=:AAAA:,"]
)
def test_a_digest_field_that_is_none_is_refused(field: str) -> None:
    with pytest.raises(InvalidRequest):
        sha256_from_fields([field])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], None),
        (["sha-512=:AAAA:"], None),
        (["sha-512=:AAAA:", digest(VIDEO)], SHA256),
        ([f"{digest(VIDEO)};x=1"], SHA256),
    ],
)
def test_the_sha256_of_a_digest_field_is_found(fields: Iterable[str], expected: bytes | None) -> None:
    assert sha256_from_fields(fields) == expected


async def test_forms_at_once_are_apart(api: httpx.AsyncClient) -> None:
    bodies = [
        part("ep_id", f"show{i}".encode()) + part("file", VIDEO + bytes([i]), "a.mp4") + END for i in range(5)
    ]
    answers = await asyncio.gather(*(send(api, body) for body in bodies))
    expected = [hashlib.sha256(VIDEO + bytes([i])).hexdigest() for i in range(5)]
    assert [a.json()["sha256"] for a in answers] == expected
