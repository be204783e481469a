"""Containers by their first bytes, never by their name."""

from __future__ import annotations

import pytest

from services.kit.media_types import SNIFF_BYTES, ContainerFormat, sniff

TS_PACKET = b"\x47" + bytes(187)
BLURAY_PACKET = bytes(4) + TS_PACKET


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"\x00\x00\x00\x20ftypisom", ContainerFormat.MP4),
        (b"\x00\x00\x00\x08wide\x00\x00\x10\x00mdat", ContainerFormat.MP4),
        (b"\x1a\x45\xdf\xa3\x01\x00", ContainerFormat.MATROSKA),
        (b"RIFF\x00\x10\x00\x00AVI LIST", ContainerFormat.AVI),
        (b"FLV\x01\x05", ContainerFormat.FLV),
        (b"\x00\x00\x01\xba\x44", ContainerFormat.MPEG),
        (TS_PACKET * 4, ContainerFormat.MPEGTS),
        (BLURAY_PACKET * 4, ContainerFormat.MPEGTS),
    ],
)
def test_a_container_is_told_from_its_first_bytes(head: bytes, container: ContainerFormat) -> None:
    assert sniff(head) is container


@pytest.mark.parametrize(
    "head",
    [
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<?xml version='1.0'?><MPD></MPD>",
        b"RIFF\x00\x10\x00\x00WAVEfmt ",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0\x00\x10JFIF",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"\x47" * 10,
        b"",
        b"\x00",
        bytes(SNIFF_BYTES),
    ],
)
def test_a_playlist_or_anything_else_is_not_taken(head: bytes) -> None:
    assert sniff(head) is None


def test_two_packets_are_not_enough_to_be_a_transport_stream() -> None:
    assert sniff(TS_PACKET * 2) is None
