"""The cap on threads, from cgroups of both versions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.kit import threads
from services.kit.threads import available_cores, cgroup_cores, confined, own_cgroups, parse_cpu_max, thread_cap


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000\n", None), ("200000 100000\n", 2.0), ("150000 100000", 1.5), ("50000 100000", 0.5)],
)
def test_cgroup_v2_grants_a_quota_or_everything(text: str, cores: float | None) -> None:
    assert parse_cpu_max(text) == cores


def test_a_quota_without_a_period_means_the_kernels_default_period() -> None:
    assert parse_cpu_max("300000") == 3.0


def test_cgroup_v2_is_read_from_its_root(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert cgroup_cores(tmp_path, tmp_path / "none") == 2.5


def test_the_tightest_quota_of_a_nested_cgroup_is_the_one_in_force(tmp_path: Path) -> None:
    (tmp_path / "slice/worker").mkdir(parents=True)
    (tmp_path / "slice/cpu.max").write_text("150000 100000\n")
    (tmp_path / "slice/worker/cpu.max").write_text("max 100000\n")
    own = tmp_path / "own"
    own.write_text("0::/slice/worker\n")
    assert cgroup_cores(tmp_path, own) == 1.5


def test_a_cgroup_path_of_the_host_means_the_mounted_root_inside_a_container(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    own = tmp_path / "own"
    own.write_text("0::/system.slice/docker-0123.scope\n")
    assert cgroup_cores(tmp_path, own) == 2.0


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("0::/a/b\n", ("/a/b", "/")),
        ("4:cpu,cpuacct:/docker/1\n1:name=systemd:/x\n", ("/", "/docker/1")),
        ("", ("/", "/")),
    ],
)
def test_a_process_knows_its_cgroups(text: str, paths: tuple[str, str]) -> None:
    assert own_cgroups(text) == paths


def _write_v1(root: Path, quota: str) -> None:
    (root / "cpu").mkdir()
    (root / "cpu/cpu.cfs_quota_us").write_text(quota)
    (root / "cpu/cpu.cfs_period_us").write_text("100000\n")


@pytest.mark.parametrize(("quota", "cores"), [("350000\n", 3.5), ("-1\n", None), ("nonsense", None)])
def test_cgroup_v1_is_read_where_there_is_no_v2(tmp_path: Path, quota: str, cores: float | None) -> None:
    _write_v1(tmp_path, quota)
    assert cgroup_cores(tmp_path) == cores


def test_a_machine_without_cgroups_has_no_quota(tmp_path: Path) -> None:
    assert cgroup_cores(tmp_path) is None
    assert available_cores(tmp_path) == len(os.sched_getaffinity(0))


def test_a_fraction_of_a_core_is_rounded_up_and_never_to_zero(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("20000 100000\n")
    assert available_cores(tmp_path) == 1


def test_the_quota_never_grants_more_than_the_affinity(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000000 100000\n")
    assert available_cores(tmp_path) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("requested", "available", "cap"), [(None, 4, 4), (2, 4, 2), (8, 4, 4), (1, 1, 1), (None, 0, 1), (4, 0, 1)]
)
def test_the_cap_is_what_was_asked_for_and_never_more_than_there_is(
    requested: int | None, available: int, cap: int
) -> None:
    assert thread_cap(requested, available) == cap


def test_applying_a_cap_caps_opencv_and_the_environment_of_blas() -> None:
    code = (
        "import os, cv2; from services.kit.threads import apply_cap; apply_cap(1);"
        "print(cv2.getNumThreads(), os.environ['OMP_NUM_THREADS'], os.environ['OPENBLAS_NUM_THREADS'])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.split() == ["1", "1", "1"]


def test_a_process_counts_its_threads_and_its_cpu_time() -> None:
    assert threads.process_threads() >= 1
    assert threads.process_cpu_seconds() > 0


def test_work_is_confined_to_as_many_cores_as_its_cap_threads_and_children_included() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core confines by itself")
    code = (
        "import os, subprocess, sys, threading;"
        "from services.kit.threads import confined;"
        "cores = 'import os; print(len(os.sched_getaffinity(0)))';"
        "wait, seen = threading.Event(), [];"
        "before = os.sched_getaffinity(0);"
        "early = threading.Thread(target=lambda: (wait.wait(), seen.append(os.sched_getaffinity(0))));"
        "early.start();"
        "pin = confined(1); pin.__enter__();"
        "wait.set(); early.join();"
        "child = subprocess.run([sys.executable, '-c', cores], capture_output=True, text=True).stdout.strip();"
        "inside = len(os.sched_getaffinity(0));"
        "pin.__exit__(None, None, None);"
        "print(len(seen[0]), child, inside, os.sched_getaffinity(0) == before)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.split() == ["1", "1", "1", "True"]


def test_a_cap_of_all_cores_confines_nothing() -> None:
    before = os.sched_getaffinity(0)
    with confined(len(before)):
        assert os.sched_getaffinity(0) == before
