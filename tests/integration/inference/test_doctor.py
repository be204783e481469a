"""`screenalytics doctor`: exit status 0 only if what was asked for is really in effect."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.triton_server import TritonServer
from services.detector.ffmpeg_floor import floor_fault
from services.local.nats import EmbeddedNats
from services.local.ports import choose_ports
from services.local.postgres import EmbeddedPostgres
from tests.integration.inference.worker_process import ROOT

HAS_GPU = Path("/dev/nvidiactl").exists()


@dataclass(frozen=True)
class Report:
    status: int
    record: dict[str, Any]

    def verdict(self, check: str) -> str:
        return str(self.finding(check)["verdict"])

    def finding(self, check: str) -> dict[str, Any]:
        (found,) = [finding for finding in self.record["findings"] if finding["check"] == check]
        return dict(found)


def doctor(tmp_path: Path, *args: str, **settings: str) -> Report:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SCREENALYTICS_")}
    env |= {"PYTHONPATH": str(ROOT), **{f"SCREENALYTICS_{name}": value for name, value in settings.items()}}
    command = [sys.executable, "-m", "services.cli", "doctor", "--json", "--data-dir", str(tmp_path / "data")]
    ended = subprocess.run([*command, *args], env=env, capture_output=True, text=True, check=False, timeout=120)
    (line,) = ended.stdout.splitlines()
    return Report(ended.returncode, json.loads(line))


def test_on_the_cpu_all_that_is_there_is_well_and_the_rest_is_skipped_by_name(
    models_dir: Path, tmp_path: Path
) -> None:
    report = doctor(tmp_path, "--provider", "cpu", MODELS__DIR=str(models_dir), THREADS__MAX_CPU="1")
    assert (report.status, report.record["ok"], report.record["requested"]) == (0, True, "cpu")
    model = report.finding("model yunet-n")
    assert (model["facts"]["requested"], model["facts"]["effective"]) == ("cpu", "cpu")
    assert model["facts"]["nodes"]["CPUExecutionProvider"] > 10
    assert report.verdict("model sface-2021dec") == "skipped"
    threads = report.finding("threads")
    assert threads["facts"]["cap"] == 1
    assert set(threads["facts"]["pools"].values()) == {1}
    assert threads["facts"]["threads"] >= 1
    assert report.verdict("ffmpeg") == "ok"
    assert {report.verdict(server) for server in ("postgres", "nats", "store", "triton")} == {"skipped"}


@pytest.mark.skipif(HAS_GPU, reason="a GPU is here")
@pytest.mark.parametrize("args", [(), ("--provider", "cuda")], ids=["by default", "by request"])
def test_without_a_gpu_cuda_is_not_in_effect(tmp_path: Path, args: tuple[str, ...]) -> None:
    report = doctor(tmp_path, *args)
    assert (report.status, report.record["requested"]) == (3, "cuda")
    finding = report.finding("model similarity")
    assert (finding["verdict"], finding["code"]) == ("failed", "accelerator-unavailable")
    assert "cannot load lib" in finding["detail"] or "claims device GPU" in finding["detail"]


def test_a_permission_to_fall_back_does_not_make_doctor_see_what_is_not_there(tmp_path: Path) -> None:
    if not HAS_GPU:
        assert doctor(tmp_path, INFERENCE__ALLOW_CPU_FALLBACK="true").status == 3


def test_a_changed_file_is_bad_input(models_dir: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(models_dir / "yunet_n_dynamic.onnx", models)
    with (models / "yunet_n_dynamic.onnx").open("ab") as file:
        file.write(b"\0")
    report = doctor(tmp_path, "--provider", "cpu", "--models-dir", str(models))
    assert report.status == 2
    assert report.finding("model yunet-n")["code"] == "model-unusable"


def test_the_servers_that_are_configured_are_asked(
    postgres: EmbeddedPostgres, nats_server: EmbeddedNats, triton: TritonServer, tmp_path: Path
) -> None:
    settings = {
        "POSTGRES__DSN": postgres.dsn,
        "NATS__URL": nats_server.url,
        "STORE__URL": (tmp_path / "store").as_uri(),
        "TRITON__URL": triton.grpc_url,
    }
    report = doctor(tmp_path, "--provider", "cpu", **settings)
    assert report.status == 0, report.record
    assert "PostgreSQL 18" in report.finding("postgres")["detail"]
    assert "2.15" in report.finding("nats")["detail"]
    assert "triton" in report.finding("triton")["detail"]
    assert report.finding("model face-detector")["facts"]["runtime"].startswith("triton")
    assert report.finding("model face-detector")["facts"]["device"] == "KIND_CPU x1"


@pytest.mark.parametrize("setting", ["POSTGRES__DSN", "NATS__URL", "TRITON__URL"])
def test_a_server_that_does_not_answer_is_a_system_that_is_unavailable(tmp_path: Path, setting: str) -> None:
    (port,) = choose_ports(1)
    addresses = {
        "POSTGRES__DSN": f"postgresql://u:p@127.0.0.1:{port}/x",
        "NATS__URL": f"nats://127.0.0.1:{port}",
        "TRITON__URL": f"127.0.0.1:{port}",
    }
    more = {"TRITON__RETRY_FOR_S": "0"} if setting == "TRITON__URL" else {}
    report = doctor(tmp_path, "--provider", "cpu", **{setting: addresses[setting]}, **more)
    assert report.status == 4
    assert report.verdict(setting.partition("__")[0].lower()) == "failed"


@pytest.mark.parametrize("version", ["8.1.2", "8.1.3", "n8.2", "9.0"])
def test_an_ffmpeg_from_the_floor_up_has_no_fault(version: str) -> None:
    assert floor_fault(version) is None


@pytest.mark.parametrize("version", ["8.1.1", "7.1", "8", "n8.0.9-static", "N-113007-g8d24a28d06", ""])
def test_an_older_ffmpeg_or_one_that_tells_no_release_is_refused_with_the_fix(version: str) -> None:
    assert "newer PyAV" in str(floor_fault(version))
