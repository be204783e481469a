"""The containers a video may come in, told from its first bytes and never from its name."""

from __future__ import annotations

from enum import StrEnum

SNIFF_BYTES = 4096

_MP4_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_TS_SYNC = 0x47
# MPEG transport packets; Blu-ray's carry four more bytes in front.
_TS_LAYOUTS = ((188, 0), (192, 4))
_TS_PACKETS = 3


class ContainerFormat(StrEnum):
    """The value is the name of the FFmpeg demuxer to pin."""

    MP4 = "mov"
    MATROSKA = "matroska"
    MPEGTS = "mpegts"
    MPEG = "mpeg"
    AVI = "avi"
    FLV = "flv"


_MAGICS = {
    b"\x1a\x45\xdf\xa3": ContainerFormat.MATROSKA,
    b"FLV\x01": ContainerFormat.FLV,
    b"\x00\x00\x01\xba": ContainerFormat.MPEG,
}
ACCEPTED = "MP4 or QuickTime, Matroska or WebM, MPEG-TS, MPEG-PS, AVI, FLV"


def sniff(head: bytes) -> ContainerFormat | None:
    """The container that a file starting with `head` (its first `SNIFF_BYTES`) claims to be, if we take it.

    Only formats that carry their own media are known here: a playlist (HLS, DASH, concat) names other files
    and would make the demuxer read them.
    """
    if head[4:8] in _MP4_BOXES:
        return ContainerFormat.MP4
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return ContainerFormat.AVI
    for magic, container in _MAGICS.items():
        if head.startswith(magic):
            return container
    if any(_is_transport_stream(head, size, offset) for size, offset in _TS_LAYOUTS):
        return ContainerFormat.MPEGTS
    return None


def _is_transport_stream(head: bytes, packet_bytes: int, offset: int) -> bool:
    syncs = head[offset::packet_bytes][:_TS_PACKETS]
    return len(syncs) == _TS_PACKETS and set(syncs) == {_TS_SYNC}
