"""The name an episode gets when its uploader gives none."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.orchestrator.episodes import default_ep_id

DIGEST = hashlib.sha256(b"").hexdigest()
SHORT = DIGEST[:8]
EP_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


@pytest.mark.parametrize(
    ("filename", "ep_id"),
    [
        ("Show S01E02.mp4", f"show-s01e02-{SHORT}"),
        ("show.s01e02.1080p.mkv", f"show.s01e02.1080p-{SHORT}"),
        ("Amélie à Paris.mov", f"amelie-a-paris-{SHORT}"),
        ("ﬁlm №1.avi", f"film-no1-{SHORT}"),
        ("电影.mp4", f"episode-{SHORT}"),
        ("", f"episode-{SHORT}"),
        (".mp4", f"mp4-{SHORT}"),
        ("---.mp4", f"episode-{SHORT}"),
        ("_under_.mp4", f"under-{SHORT}"),
    ],
)
def test_a_name_is_the_slug_of_the_file_and_the_start_of_its_digest(filename: str, ep_id: str) -> None:
    assert default_ep_id(filename, DIGEST) == ep_id


def test_a_long_name_is_cut_and_keeps_its_digest() -> None:
    name = default_ep_id("x" * 5000 + ".mp4", DIGEST)
    assert len(name) <= 128
    assert name.endswith(f"-{SHORT}")


@settings(max_examples=200, deadline=None, database=None)
@given(st.text(max_size=300))
def test_every_file_name_makes_a_valid_name(filename: str) -> None:
    assert EP_ID.fullmatch(default_ep_id(filename, DIGEST))
