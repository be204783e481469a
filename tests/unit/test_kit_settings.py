"""Settings come from the environment by their documented names, and a bad one is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.kit.errors import InvalidSettings
from services.kit.inference.placement import Provider
from services.kit.settings import ServiceSettings, WorkerSettings, env_name, read_settings
from services.orchestrator.settings import OrchestratorSettings


@pytest.fixture(autouse=True)
def _bare_environment() -> Iterator[None]:
    before = dict(os.environ)
    for name in [n for n in os.environ if n.startswith("SCREENALYTICS_")]:
        del os.environ[name]
    os.environ["SCREENALYTICS_STORE__URL"] = "file:///store"
    yield
    os.environ.clear()
    os.environ.update(before)


def test_every_group_is_read_by_its_documented_name() -> None:
    os.environ |= {
        "SCREENALYTICS_NATS__URL": "nats://broker:4222",
        "SCREENALYTICS_MODELS__DIR": "/models",
        "SCREENALYTICS_THREADS__MAX_CPU": "3",
        "SCREENALYTICS_INFERENCE__PROVIDER": "cpu",
        "SCREENALYTICS_INFERENCE__ALLOW_CPU_FALLBACK": "true",
        "SCREENALYTICS_HEALTH__PORT": "9101",
        "SCREENALYTICS_WORKER__SCRATCH_DIR": "/scratch",
        "SCREENALYTICS_STORE__OPTIONS": '{"region": "eu"}',
    }
    settings = read_settings(WorkerSettings)
    assert settings.nats.url == "nats://broker:4222"
    assert settings.models.dir == Path("/models")
    assert settings.threads.max_cpu == 3
    assert settings.inference.provider is Provider.CPU
    assert settings.inference.allow_cpu_fallback
    assert settings.health.port == 9101
    assert settings.worker.scratch_dir == Path("/scratch")
    assert settings.store.url == "file:///store"
    assert settings.store.options == {"region": "eu"}


def test_the_gpu_is_asked_for_and_nothing_else_is_allowed_by_default() -> None:
    settings = read_settings(WorkerSettings)
    assert settings.inference.provider is Provider.CUDA
    assert not settings.inference.allow_cpu_fallback


def test_the_older_name_of_the_thread_cap_is_understood() -> None:
    os.environ["SCREENALYTICS_LOCAL_MAX_THREADS"] = "2"
    assert read_settings(WorkerSettings).threads.max_cpu == 2


def test_the_newer_name_of_the_thread_cap_wins() -> None:
    os.environ["SCREENALYTICS_LOCAL_MAX_THREADS"] = "2"
    os.environ["SCREENALYTICS_THREADS__MAX_CPU"] = "5"
    assert read_settings(WorkerSettings).threads.max_cpu == 5


def test_an_empty_models_folder_means_none() -> None:
    os.environ["SCREENALYTICS_MODELS__DIR"] = ""
    assert read_settings(WorkerSettings).models.dir is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCREENALYTICS_THREADS__MAX_CPU", "0"),
        ("SCREENALYTICS_THREADS__MAX_CPU", "many"),
        ("SCREENALYTICS_INFERENCE__PROVIDER", "rocm"),
        ("SCREENALYTICS_HEALTH__PORT", "70000"),
        ("SCREENALYTICS_WORKER__DRAIN_GRACE_S", "-1"),
        ("SCREENALYTICS_LOG__LEVEL", "loud"),
        ("SCREENALYTICS_NATS__ULR", "nats://x"),
    ],
)
def test_an_invalid_value_is_refused_by_the_name_of_its_variable(name: str, value: str) -> None:
    os.environ[name] = value
    with pytest.raises(InvalidSettings, match=name):
        read_settings(WorkerSettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCREENALYTICS_ROUTES__DECLARED", "detect_track/cpu"),
        ("SCREENALYTICS_ROUTES__DECLARED", '["detect_track/tpu"]'),
        ("SCREENALYTICS_STORE__OPTIONS", "region=eu"),
    ],
)
def test_a_list_or_a_map_that_does_not_fit_is_refused_too(name: str, value: str) -> None:
    os.environ |= {"SCREENALYTICS_POSTGRES__DSN": "postgresql://x", name: value}
    with pytest.raises(InvalidSettings, match=name.split("__", maxsplit=1)[0]):
        read_settings(OrchestratorSettings)


def test_every_fault_is_named_at_once() -> None:
    os.environ |= {"SCREENALYTICS_THREADS__MAX_CPU": "0", "SCREENALYTICS_HEALTH__PORT": "-1"}
    with pytest.raises(InvalidSettings, match=r"THREADS__MAX_CPU.*HEALTH__PORT"):
        read_settings(WorkerSettings)


def test_a_missing_required_setting_is_named() -> None:
    del os.environ["SCREENALYTICS_STORE__URL"]
    with pytest.raises(InvalidSettings, match="SCREENALYTICS_STORE"):
        read_settings(ServiceSettings)


@pytest.mark.parametrize("level", ["debug", "INFO", "Warning", "error"])
def test_a_log_level_is_read_in_any_case(level: str) -> None:
    os.environ["SCREENALYTICS_LOG__LEVEL"] = level
    assert read_settings(ServiceSettings).log.level.upper() == level.upper()


def test_settings_cannot_be_changed_once_read() -> None:
    settings = read_settings(WorkerSettings)
    with pytest.raises(ValidationError):
        settings.threads.max_cpu = 9


def test_a_variables_name_is_prefix_group_and_field() -> None:
    assert env_name("threads", "max_cpu") == "SCREENALYTICS_THREADS__MAX_CPU"
