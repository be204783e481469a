"""A system that cannot start says why, with an exit status of its own, and leaves nothing running."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.kit.inference.catalog import SHIPPED_DIR
from services.local import SystemHandle, read_state


@pytest.fixture
def clip(media_dir: Path) -> Path:
    return media_dir / "asl_book.mkv"


def has_gpu() -> bool:
    program = shutil.which("nvidia-smi")
    return program is not None and subprocess.run([program], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(has_gpu(), reason="a GPU is here")
def test_without_a_gpu_a_run_is_refused_and_names_both_ways_to_the_cpu(
    screenalytics: Any, clip: Path, tmp_path: Path
) -> None:
    ended = screenalytics("run", clip, "--json", "--data-dir", tmp_path / "data")
    assert ended.status == 3, ended.err
    assert ended.record["error"]["code"] == "accelerator-unavailable"
    assert "--device cpu" in ended.err
    assert "--allow-cpu-fallback" in ended.err
    assert read_state(tmp_path / "data") is None


def test_a_system_on_the_cpu_refuses_a_run_that_needs_a_gpu(
    screenalytics: Any, system: SystemHandle, clip: Path
) -> None:
    ended = screenalytics("run", clip, "--json", "--device", "cuda", "--data-dir", system.settings.data_dir)
    assert ended.status == 3, ended.err
    assert "--device cpu" in ended.record["error"]["hint"]


def test_a_model_file_that_is_not_the_catalogs_is_refused(
    screenalytics: Any, clip: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for model in SHIPPED_DIR.glob("*.onnx"):
        shutil.copy(model, models)
    with (models / "face-detector.onnx").open("ab") as file:
        file.write(b"\0")
    options = ("--json", "--device", "cpu", "--data-dir", tmp_path / "data")
    ended = screenalytics("run", clip, *options, SCREENALYTICS_MODELS__DIR=str(models))
    assert ended.status == 2, ended.err
    assert ended.record["error"]["code"] == "model-unusable"
    assert "face-detector.onnx" in ended.err
    assert read_state(tmp_path / "data") is None


def test_a_port_in_use_is_named(screenalytics: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = screenalytics("up", "--device", "cpu", "--http-port", port, "--data-dir", tmp_path / "data")
    assert ended.status == 4, ended.err
    assert port in ended.err


def test_a_second_system_on_the_same_folder_is_refused(screenalytics: Any, system: SystemHandle) -> None:
    ended = screenalytics("up", "--device", "cpu", "--data-dir", system.settings.data_dir)
    assert ended.status == 4, ended.err
    assert str(system.state.supervisor_pid) in ended.err


def test_a_data_dir_that_cannot_be_made_is_named(screenalytics: Any, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = screenalytics("run", clip, "--json", "--device", "cpu", "--data-dir", tmp_path / "file" / "data")
    assert ended.status == 4, ended.err
    assert ended.record["error"]["code"] == "data-dir-unusable"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_data_dir_is_named(screenalytics: Any, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o555)
    ended = screenalytics("run", clip, "--json", "--device", "cpu", "--data-dir", tmp_path / "data")
    assert ended.status == 4, ended.err


def test_a_system_goes_up_and_down(screenalytics: Any, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    process = screenalytics.start("up", "--device", "cpu", "--data-dir", data_dir)
    try:
        said = next(line for line in process.stdout if line.startswith("API: "))
        assert "http://127.0.0.1:" in said
        assert screenalytics("status", "--data-dir", data_dir).status == 0
        assert screenalytics("down", "--data-dir", data_dir).status == 0
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    finally:
        process.kill()
    assert screenalytics("status", "--data-dir", data_dir).status == 4


def test_a_setting_that_does_not_exist_is_named(screenalytics: Any) -> None:
    ended = screenalytics("jobs", "--api", "http://127.0.0.1:9", SCREENALYTICS_CLIENT__URL="http://127.0.0.1:9")
    assert ended.status == 2
    assert ended.err.strip() == "error: SCREENALYTICS_CLIENT__URL: there is no such setting"
