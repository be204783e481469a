"""Requests to URLs of strangers: what must not be reached is not even connected to."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.kit.errors import AddressRefused, RemoteUnavailable, ScreenalyticsError, TooLarge
from services.orchestrator.outbound import Outbound, Reply
from services.orchestrator.settings import OutboundSettings
from tests.integration.remote import Authority, Names, Remote, Request, answer, listening, serving

ANY = ("*",)
CONTENT = bytes(range(256)) * 300


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def trap() -> AsyncIterator[Remote]:
    """A server on loopback that nobody may reach."""
    async with serving(lambda _: answer(body=b"a secret")) as remote:
        yield remote


async def fetched(
    outbound: Outbound,
    url: str,
    *,
    hosts: tuple[str, ...] = ANY,
    max_bytes: int = 1 << 20,
    within_s: float = 20,
) -> bytes:
    async with outbound.fetch(url, hosts=hosts, max_bytes=max_bytes, within_s=within_s) as source:
        return b"".join([chunk async for chunk in source.chunks()])


async def posted(outbound: Outbound, url: str, body: bytes = b"{}", *, within_s: float = 20) -> Reply:
    return await outbound.post(url, hosts=ANY, headers={}, body=body, within_s=within_s, head_bytes=100)


def strict(*ports: int, **fields: object) -> OutboundSettings:
    return OutboundSettings.model_validate({"ports": ports, "schemes": ("https", "http")} | fields)


HOSTILE = [
    "http://127.0.0.1:PORT/",
    "https://127.0.0.1:PORT/",
    "http://127.0.0.2:PORT/",
    "http://localhost:PORT/",
    "http://localhost.:PORT/",
    "http://127.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://017700000001:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://[::1]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://１２７.0.0.1:PORT/",
    "http://127。0。0。1:PORT/",
    "http://①②⑦.0.0.1:PORT/",
    "http://user@127.0.0.1:PORT/",
    "http://videos.example:PORT\\@127.0.0.1:PORT/",
    "http://169.254.169.254:PORT/latest/meta-data/",
    "http://10.0.0.1:PORT/",
    "http://192.168.0.1:PORT/",
    "http://100.64.0.1:PORT/",
    "http://[fd00::1]:PORT/",
    "http://[fe80::1]:PORT/",
    "http://224.0.0.1:PORT/",
    "http://255.255.255.255:PORT/",
    "file:///etc/passwd",
    "ftp://127.0.0.1:PORT/",
]


@pytest.mark.parametrize("url", HOSTILE)
async def test_no_url_of_this_machine_or_its_networks_is_connected_to(trap: Remote, url: str) -> None:
    outbound = Outbound(strict(trap.port))
    url = url.replace("PORT", str(trap.port))
    for attempt in (fetched(outbound, url), posted(outbound, url), outbound.check(url, hosts=ANY)):
        with pytest.raises(AddressRefused):
            await attempt
    assert trap.connections == 0


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["::1", "8.8.8.8"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        [],
    ],
)
async def test_a_name_is_refused_for_any_address_that_is_not_public(trap: Remote, answers: list[str]) -> None:
    outbound = Outbound(strict(trap.port), resolve=Names(videos_example=[answers]))
    with pytest.raises(AddressRefused, match="public internet"):
        await fetched(outbound, f"http://videos.example:{trap.port}/")
    assert trap.connections == 0


async def test_a_name_that_is_rebound_after_the_check_is_not_asked_again(authority: Authority) -> None:
    tls = authority.server("videos.example")
    async with serving(lambda _: answer(body=b"the right one"), tls) as right:
        settings = authority.settings(right.port, allow_networks=("127.0.0.1/32",))
        names = Names(videos_example=[["127.0.0.1"], ["127.0.0.2"]])
        outbound = Outbound(settings, resolve=names)
        assert await fetched(outbound, f"https://videos.example:{right.port}/") == b"the right one"
        assert names.asked == ["videos.example"]
        # Asked anew for a new request, and checked anew.
        with pytest.raises(AddressRefused):
            await fetched(outbound, f"https://videos.example:{right.port}/")
        assert right.connections == 1


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.2:TRAP/",
        "https://inner.example:TRAP/",
        "https://[::ffff:127.0.0.2]:TRAP/",
        "https://2130706434:TRAP/",
        "//127.0.0.2:TRAP/",
        "http://127.0.0.1:TRAP/",
        "file:///etc/passwd",
        "https://videos.example:22/",
        "https://user:pass@videos.example/",
    ],
)
async def test_a_redirect_is_checked_like_the_url_itself(
    authority: Authority, trap: Remote, location: str
) -> None:
    location = location.replace("TRAP", str(trap.port))
    tls = authority.server("videos.example")
    async with serving(lambda _: answer(302, Location=location), tls) as remote:
        settings = authority.settings(remote.port, trap.port, allow_networks=("127.0.0.1/32",))
        names = Names(videos_example=[["127.0.0.1"]], inner_example=[["127.0.0.2"]])
        with pytest.raises(AddressRefused):
            await fetched(Outbound(settings, resolve=names), f"https://videos.example:{remote.port}/")
        assert (remote.connections, trap.connections) == (1, 0)


async def test_a_name_that_is_rebound_between_redirects_is_refused(authority: Authority) -> None:
    tls = authority.server("videos.example")
    async with serving(lambda _: answer(302, Location="/again"), tls) as remote:
        settings = authority.settings(remote.port, allow_networks=("127.0.0.1/32",))
        names = Names(videos_example=[["127.0.0.1"], ["127.0.0.2"]])
        with pytest.raises(AddressRefused):
            await fetched(Outbound(settings, resolve=names), f"https://videos.example:{remote.port}/")
        assert remote.connections == 1


async def test_a_file_is_fetched_through_redirects_by_its_own_name(authority: Authority) -> None:
    def handle(request: Request) -> bytes:
        if request.path == "/start":
            return answer(302, Location="/moved?x=1")
        return answer(body=CONTENT)

    async with serving(handle, authority.server("videos.example")) as remote:
        names = Names(videos_example=[["127.0.0.1"]])
        outbound = Outbound(authority.settings(remote.port), resolve=names)
        url = f"https://videos.example:{remote.port}/start"
        assert await fetched(outbound, url, hosts=("*.example",)) == CONTENT
        assert [r.path for r in remote.requests] == ["/start", "/moved?x=1"]
        assert remote.names == ["videos.example"] * 2
        assert remote.requests[0].headers["host"] == f"videos.example:{remote.port}"


async def test_a_certificate_of_another_name_or_authority_is_refused(
    authority: Authority, tmp_path: Path
) -> None:
    for tls in (authority.server("other.example"), Authority(tmp_path).server("videos.example")):
        async with serving(lambda _: answer(body=b"x"), tls) as remote:
            names = Names(videos_example=[["127.0.0.1"]])
            outbound = Outbound(authority.settings(remote.port), resolve=names)
            with pytest.raises(RemoteUnavailable, match="certificate"):
                await fetched(outbound, f"https://videos.example:{remote.port}/")
            assert remote.requests == []


async def test_hosts_schemes_and_ports_that_are_not_listed_are_refused(
    authority: Authority, trap: Remote
) -> None:
    outbound = Outbound(authority.settings(trap.port), resolve=Names(videos_example=[["127.0.0.1"]]))
    for url, hosts in (
        (f"https://videos.example:{trap.port}/", ("other.example",)),
        (f"https://videos.example:{trap.port}/", ()),
        (f"http://videos.example:{trap.port}/", ANY),
        ("https://videos.example/", ANY),
    ):
        with pytest.raises(AddressRefused):
            await fetched(outbound, url, hosts=hosts)
    assert trap.connections == 0


async def test_redirects_without_end_are_given_up(authority: Authority) -> None:
    async with serving(lambda _: answer(301, Location="/"), authority.server("127.0.0.1")) as remote:
        with pytest.raises(RemoteUnavailable, match="redirects"):
            await fetched(Outbound(authority.settings(remote.port)), f"https://127.0.0.1:{remote.port}/")
        assert remote.connections == 6


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 x\r\n\r\n")
    while True:
        writer.write(bytes(1 << 16))
        await writer.drain()


async def endless_header(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 x\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


async def silent(writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 x\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)  # the hostile server is slow on purpose


async def cut_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\nabc")


@pytest.mark.parametrize(
    ("given", "failure"),
    [
        (endless, TooLarge),
        (answer(Content_Length=str(1 << 40)), TooLarge),
        (endless_header, RemoteUnavailable),
        (silent, RemoteUnavailable),
        (dripping, RemoteUnavailable),
        (cut_off, RemoteUnavailable),
        (b"SSH-2.0-OpenSSH\r\n\r\n", RemoteUnavailable),
        (answer(404, b"no"), RemoteUnavailable),
        (answer(206, b"part"), RemoteUnavailable),
        (answer(200, gzip.compress(b"x" * 9999), Content_Encoding="gzip"), RemoteUnavailable),
    ],
    ids=["endless", "announced", "headers", "silent", "dripping", "cut", "ssh", "404", "206", "gzip"],
)
async def test_an_answer_that_is_no_file_ends_soon_and_clearly(
    authority: Authority, given: bytes, failure: type[ScreenalyticsError]
) -> None:
    async with serving(lambda _: given, authority.server("127.0.0.1")) as remote:
        outbound = Outbound(authority.settings(remote.port, idle_timeout_s=0.3))
        with pytest.raises(failure):
            await fetched(outbound, f"https://127.0.0.1:{remote.port}/", max_bytes=100_000, within_s=1)


async def test_a_post_sends_its_body_once_and_follows_no_redirect(authority: Authority) -> None:
    async with serving(
        lambda _: answer(307, b"x" * 500, Location="/other"), authority.server("127.0.0.1")
    ) as remote:
        reply = await posted(
            Outbound(authority.settings(remote.port)), f"https://127.0.0.1:{remote.port}/in", b"body"
        )
        assert (reply.status, reply.head) == (307, b"x" * 100)
        assert [(r.method, r.path, r.body) for r in remote.requests] == [("POST", "/in", b"body")]


async def test_behind_a_proxy_it_is_the_proxy_that_resolves_and_the_certificate_is_still_checked(
    authority: Authority,
) -> None:
    async with serving(lambda _: answer(body=b"by proxy"), authority.server("videos.example")) as remote:

        async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", remote.port)
            writer.write(b"HTTP/1.1 200 x\r\n\r\n")
            try:
                await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))
            finally:
                there_writer.transport.abort()

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(1 << 16):
                sink.write(data)
            sink.close()

        asked: list[bytes] = []
        async with listening(tunnel) as port:
            names = Names()
            settings = authority.settings(443, proxy_url=f"http://127.0.0.1:{port}", allow_networks=())
            outbound = Outbound(settings, resolve=names)
            assert await fetched(outbound, "https://videos.example/") == b"by proxy"
            assert (asked, names.asked) == ([b"CONNECT videos.example:443 HTTP/1.1"], [])
            with pytest.raises(AddressRefused):
                await fetched(outbound, "https://127.0.0.1/")
            assert len(asked) == 1
