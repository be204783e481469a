"""The storm of kills passes, and each engine without one of its safeguards does not."""

from __future__ import annotations

import json
from pathlib import Path

import crash_storm
import pytest
from chaos.mutants import NAMES

from tests.sizes import IS_FULL

_BAR_S = 35


def storm(capsys: pytest.CaptureFixture[str], home: Path, *given: str) -> tuple[int, dict[str, object]]:
    status = crash_storm.main([*given, "--home", str(home), "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert isinstance(figures, dict)
    return status, figures


@pytest.mark.parametrize("seed", [1, 2, 3] if IS_FULL else [1])
def test_a_storm_of_kills_loses_nothing_and_does_nothing_twice(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, seed: int
) -> None:
    size = (
        ["--jobs", "1000", "--kills", "200", "--zombies", "10"]
        if IS_FULL
        else ["--jobs", "24", "--kills", "10", "--zombies", "2", "--scale", "0.1", "--pause-s", "0.6"]
    )
    status, figures = storm(capsys, tmp_path, *size, "--seed", str(seed))
    assert status == 0, figures
    assert (figures["unsent_outbox"], figures["orphan_files"]) == (0, 0)
    if IS_FULL:
        recovery_s = figures["recovery_p99_s"]
        assert isinstance(recovery_s, float)
        assert recovery_s <= _BAR_S


# What each engine without its safeguard comes to grief over, so often that even a small storm shows it.
_WEAKNESS = {
    "no-guard": ["--kills", "3", "--zombies", "3"],
    "early-ack": ["--kills", "3", "--zombies", "0", "--targets", "worker"],
    "no-outbox": ["--kills", "10", "--zombies", "0", "--pause-s", "0.4", "--targets", "orchestrator", "nats"],
    "no-lock": ["--kills", "3", "--zombies", "0", "--work-s", "0"],
}


@pytest.mark.parametrize("mutant", NAMES)
def test_an_engine_without_a_safeguard_is_caught(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mutant: str
) -> None:
    size = ["--jobs", "24", "--scale", "0.1", "--pause-s", "0.6", "--patience-s", "8", *_WEAKNESS[mutant]]
    if IS_FULL:
        size += ["--jobs", "150", "--kills", "40", "--zombies", "8", "--scale", "0.25", "--patience-s", "12"]
    status, figures = storm(capsys, tmp_path, *size, "--mutant", mutant)
    assert status == 1, figures
