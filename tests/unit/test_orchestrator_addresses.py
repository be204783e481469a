"""Which addresses and URLs belong to the public internet."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from services.kit.errors import AddressRefused
from services.orchestrator.outbound.addresses import is_public
from services.orchestrator.outbound.targets import is_listed, parse_target

NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:8.8.8.8",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001:0:808:808::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_of_no_public_network_is_told(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_told(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "videos.example/a.mp4",
        "//videos.example/a.mp4",
        "file:///etc/passwd",
        "ftp://videos.example/a",
        "gopher://videos.example/a",
        "data:video/mp4;base64,AA",
        "https://",
        "https:///a.mp4",
        "https://user@videos.example/",
        "https://user:pass@videos.example/",
        "https://videos.example\\@127.0.0.1/",
        "https://127.0.0.1#@videos.example\\",
        "https://videos.example/a b",
        "https://videos.example/\r\nHost: inner",
        "https://videos.example\x00.evil.example/",
        "https://videos.example:99999/",
        "https://videos.example:port/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[v1.x]/",
        "https://-a.example/",
        "https://a..example/",
        "https://" + "a" * 64 + ".example/",
        "https://videos.example/" + "a" * 2048,
        # Addresses as resolvers read them and people do not.
        "https://2130706433/",
        "https://017700000001/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1.2/",
        "https://127.0.0.256/",
        "https://videos.example.0x7f/",
        "https://١٢٧.١/",  # Arabic digits
        "https://a⁄b.example/",
    ],
)
def test_a_url_that_is_not_plain_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        parse_target(url)


@pytest.mark.parametrize(
    ("url", "host", "authority"),
    [
        ("https://Videos.Example/a.mp4", "videos.example", "videos.example"),
        ("https://videos.example.:443/", "videos.example", "videos.example"),
        ("HTTPS://videos.example:8443", "videos.example", "videos.example:8443"),
        ("https://bücher.example/", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("https://１２７.0.0.1/", "127.0.0.1", "127.0.0.1"),
        ("https://127。0。0。1/", "127.0.0.1", "127.0.0.1"),
        ("https://[::FFFF:127.0.0.1]:444/", "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:444"),
        ("http://127.0.0.1/", "127.0.0.1", "127.0.0.1"),
        ("https://videos.example:0/", "videos.example", "videos.example:0"),
    ],
)
def test_a_host_has_one_spelling(url: str, host: str, authority: str) -> None:
    target = parse_target(url)
    assert (target.host.replace("7f00:1", "127.0.0.1"), target.authority.replace("7f00:1", "127.0.0.1")) == (
        host,
        authority,
    )


def test_path_and_query_are_sent_as_they_are_signed() -> None:
    target = parse_target("https://videos.example/a%20b/ü.mp4?sig=a%2Fb+c==&x=1#part")
    assert target.path_and_query == "/a%20b/%C3%BC.mp4?sig=a%2Fb+c==&x=1"
    assert target.file_name == "ü.mp4"


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("/b?c", ("https", "videos.example", 8443, "/b?c")),
        ("//other.example/b", ("https", "other.example", 443, "/b")),
        ("http://other.example", ("http", "other.example", 80, "/")),
    ],
)
def test_a_redirect_is_read_like_a_url(location: str, where: tuple[str, str, int, str]) -> None:
    target = parse_target("https://videos.example:8443/a").joined(location)
    assert (target.scheme, target.host, target.port, target.path_and_query) == where


def test_hosts_are_listed_by_name_by_domain_or_all() -> None:
    assert is_listed("a.example", ("b.example", "A.example"))
    assert is_listed("x.y.example", ("*.y.example",))
    assert is_listed("any.example", ("*",))
    assert not is_listed("y.example", ("*.y.example",))
    assert not is_listed("evily.example", ("*.y.example", "y.example"))
    assert not is_listed("a.example", ())
