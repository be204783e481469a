from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.kit.errors import AlreadyRunning
from services.kit.inference.placement import Provider
from services.local.data_dir import DataDir
from services.local.state import PartState, PartStatus, SystemState, read_state, write_state


@pytest.fixture
def state(tmp_path: Path) -> SystemState:
    return SystemState(
        data_dir=tmp_path,
        supervisor_pid=os.getpid(),
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        api_url="http://127.0.0.1:8080",
        grpc_address="127.0.0.1:9090",
        device=Provider.CUDA,
        allow_cpu_fallback=True,
        models_dir=tmp_path / "models",
        parts=(
            PartStatus("postgres", PartState.READY, port=1, pid=2, restarts=3, last_exit=-9),
            PartStatus("detector", PartState.REFUSED, reason="no CUDA device"),
        ),
    )


def test_a_running_system_is_read_as_it_was_written(state: SystemState) -> None:
    with DataDir(state.data_dir).locked():
        write_state(state)
        assert read_state(state.data_dir) == state


def test_a_dead_system_is_not_shown(state: SystemState) -> None:
    write_state(state)
    assert read_state(state.data_dir) is None


def test_the_state_of_a_predecessor_is_not_shown_for_a_system_that_has_just_begun(state: SystemState) -> None:
    write_state(state.with_parts(()))
    predecessor = SystemState(
        **{name: getattr(state, name) for name in state.__slots__} | {"supervisor_pid": 1}
    )
    write_state(predecessor)
    with DataDir(state.data_dir).locked():
        assert read_state(state.data_dir) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"parts": [{"name": "x", "state": "of a newer release"}]}'])
def test_a_state_that_cannot_be_read_is_none(state: SystemState, text: str) -> None:
    DataDir(state.data_dir).state_file.write_text(text)
    assert read_state(state.data_dir) is None
    with DataDir(state.data_dir).locked():
        assert read_state(state.data_dir) is None
        write_state(state)
        assert read_state(state.data_dir) == state


def test_nothing_runs_where_nothing_ever_ran(tmp_path: Path) -> None:
    assert read_state(tmp_path / "nowhere") is None


def test_a_second_holder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    with directory.locked():
        assert directory.holder_pid() == os.getpid()
        with pytest.raises(AlreadyRunning, match=f"{tmp_path} .process {os.getpid()}"), directory.locked():
            pass
    assert directory.holder_pid() is None


def test_a_left_over_lock_file_locks_nothing(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    directory.lock_file.write_text("1\n")
    directory.require_unlocked()
    with directory.locked():
        assert directory.lock_file.read_text() == f"{os.getpid()}\n"


def test_a_reader_that_looks_at_the_lock_does_not_keep_a_system_from_starting(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    for _ in range(50):
        assert directory.holder_pid() is None
        with directory.locked():
            pass


def test_a_system_is_ready_when_all_its_parts_are(state: SystemState) -> None:
    postgres, detector = state.parts
    assert not state.is_ready
    assert state.refused == (detector,)
    assert state.with_parts((postgres,)).is_ready
    assert not state.with_parts(()).is_ready
