"""A real Triton Inference Server on this machine, without Docker: the binary that `nvidia-pytriton` carries.

`make triton` unpacks the wheel below `out/triton`, outside of the main environment; it also needs Debian's
`libpython3.11`. The wheel holds the Python backend alone, so a model repository for it is one that
`screenalytics models triton-repository --backend python` has written.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SITE = Path(__file__).resolve().parents[1] / "out" / "triton"
_STUB_PYTHON = "3.11"
_READY_WITHIN_S = 60.0
_POLL_S = 0.05
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class TritonServer:
    grpc_url: str
    http_port: int
    process: subprocess.Popen[bytes]
    log: Path

    def is_ready(self) -> bool:
        with closing(http.client.HTTPConnection(_LOOPBACK, self.http_port, timeout=3)) as connection:
            try:
                connection.request("GET", "/v2/health/ready")
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False


def what_is_missing(site: Path = SITE) -> str | None:
    """What keeps a server from starting here; None when nothing does."""
    if not (site / "pytriton/tritonserver/bin/tritonserver").is_file():
        return "the Triton server of nvidia-pytriton (make triton)"
    if sys.version_info[:2] != (3, 11):
        return "Python 3.11, for which the server's Python backend is set up here"
    try:
        ctypes.CDLL(f"libpython{_STUB_PYTHON}.so.1.0")
    except OSError:
        return f"libpython{_STUB_PYTHON} (Debian package)"
    return None


@contextmanager
def running_triton(
    repository: Path, work_dir: Path, site: Path = SITE, *, grpc_port: int | None = None
) -> Iterator[TritonServer]:
    """Serves `repository` until the block ends. Raises `RuntimeError` with the log when it is not ready."""
    work_dir.mkdir(parents=True, exist_ok=True)
    _lay_out_backend(site, work_dir / "backends")
    free_port, http_port = _free_ports(2)
    grpc_port = grpc_port or free_port
    log_path = work_dir / "triton.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            _argv(site, repository, work_dir / "backends", grpc_port, http_port),
            env=_environment(site),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = TritonServer(f"{_LOOPBACK}:{grpc_port}", http_port, process, log_path)
    try:
        _await_ready(server)
        yield server
    finally:
        stop(server)


def stop(server: TritonServer) -> None:
    """Asks, then kills; the stubs of the Python backend are of the same process group."""
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGTERM)
        try:
            server.process.wait(15)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(server.process.pid, signal.SIGKILL)


def _await_ready(server: TritonServer) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while not server.is_ready():
        if server.process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(server.log.read_text(errors="replace").splitlines()[-40:])
            raise RuntimeError(f"Triton did not become ready:\n{tail}")
        time.sleep(_POLL_S)


def _argv(site: Path, repository: Path, backends: Path, grpc_port: int, http_port: int) -> list[str]:
    return [
        str(site / "pytriton/tritonserver/bin/tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        *(f"--{kind}-address={_LOOPBACK}" for kind in ("grpc", "http", "metrics")),
        f"--grpc-port={grpc_port}",
        f"--http-port={http_port}",
        "--allow-metrics=false",
        "--allow-gpu-metrics=false",
        "--exit-timeout-secs=5",
        "--model-control-mode=none",
    ]


def _environment(site: Path) -> dict[str, str]:
    """The system's own Python first: the stub embeds it."""
    return {
        "PATH": "/usr/bin:/bin",
        "LD_LIBRARY_PATH": str(site / "nvidia_pytriton.libs"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _lay_out_backend(site: Path, backends: Path) -> None:
    """The server wants its backend beside the stub of one Python version.

    The stub's interpreter ignores PYTHONPATH but looks in this folder, so this environment's packages are
    linked into it.
    """
    target = backends / "python"
    if target.exists():
        return
    shutil.copytree(site / "pytriton/tritonserver/backends/python", target)
    stub = site / "pytriton/tritonserver/python_backend_stubs" / _STUB_PYTHON / "triton_python_backend_stub"
    shutil.copy(stub, target)
    (target / stub.name).chmod(0o755)
    for package in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not (target / package.name).exists():
            (target / package.name).symlink_to(package)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((_LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
