"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
REQUIRE_ALL = os.environ.get("SCREENALYTICS_TEST__REQUIRE_ALL") == "1"

# Tests fork to start processes, some with a gRPC server beside: its handlers of forks, which a child that only
# executes another program does not need, can abort that child. Read when gRPC is first used.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

# What a shell starts in the background ignores this signal, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def skip_or_fail(missing: str) -> None:
    """Skips the test by the name of what is missing; where everything is required, fails it."""
    if REQUIRE_ALL:
        pytest.fail(f"required and missing: {missing}")
    pytest.skip(f"missing: {missing}")


def required_tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        skip_or_fail(name)
    assert path is not None
    return path


def _shared(name: str) -> Path:
    folder = REPOSITORY.parent / "shared" / name
    if not folder.is_dir():
        skip_or_fail(f"shared/{name} beside the checkout")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_model_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Composed models of the tests, and of the processes they start, stay out of the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def media_dir() -> Path:
    """Real clips with their truth."""
    return _shared("media")


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Real models with their digests."""
    return _shared("models")
