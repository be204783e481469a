from __future__ import annotations

from pathlib import Path

import pytest

from services.kit.errors import AcceleratorUnavailable, ScreenalyticsError
from services.local.part_log import ROTATE_AT_BYTES, log_tail, open_log, refusal_in

REFUSAL = (
    '{"event": "refused", "code": "accelerator-unavailable", "reason": "no device", "hint": "--device cpu"}'
)


def test_a_log_is_continued(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        with open_log(tmp_path / "logs" / "part.log") as log:
            log.write(text)
    assert log_tail(tmp_path / "logs" / "part.log", lines=9) == ["one", "two"]


def test_a_large_log_makes_room_and_only_one_old_one_is_kept(tmp_path: Path) -> None:
    path, old = tmp_path / "part.log", tmp_path / "part.log.1"
    old.write_text("the oldest")
    path.write_bytes(b"x" * (ROTATE_AT_BYTES + 1))
    with open_log(path) as log:
        log.write(b"new\n")
    assert path.read_bytes() == b"new\n"
    assert old.stat().st_size == ROTATE_AT_BYTES + 1
    assert len(list(tmp_path.iterdir())) == 2


def test_the_tail_holds_nothing_of_an_earlier_run(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    path.write_text("earlier\nnow 1\nnow 2\n")
    assert log_tail(path, lines=9, start_byte=len("earlier\n")) == ["now 1", "now 2"]
    assert log_tail(path, lines=1) == ["now 2"]
    assert log_tail(tmp_path / "missing.log", lines=9) == []


def test_the_last_refusal_is_found_among_other_lines() -> None:
    refusal = refusal_in(["starting", REFUSAL.replace("no device", "earlier"), REFUSAL, "{not json", "{}"])
    assert type(refusal) is AcceleratorUnavailable
    assert (refusal.message, refusal.hint) == ("no device", "--device cpu")


def test_a_refusal_with_a_code_of_a_newer_release_is_kept() -> None:
    refusal = refusal_in([REFUSAL.replace("accelerator-unavailable", "solar-flare")])
    assert type(refusal) is ScreenalyticsError
    assert refusal.message == "no device"


@pytest.mark.parametrize("line", ["", "plain", "{}", '{"event": "ready"}', "{broken"])
def test_other_lines_are_no_refusal(line: str) -> None:
    assert refusal_in([line]) is None
