"""A local system seen from the process that starts or stops it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import psutil

from services.kit.errors import SystemUnavailable, error_class
from services.local.data_dir import DataDir
from services.local.launch import Launch, stop_process
from services.local.part_log import log_tail, open_log
from services.local.ports import is_free
from services.local.settings import LocalSettings
from services.local.state import SystemState, read_state
from services.local.system import module_argv, module_env

_POLL_S = 0.05
_STARTED_WITHIN_S = 600.0
_STOPPED_WITHIN_S = 60.0
_PORT_FREE_WITHIN_S = 3.0
_TAIL_LINES = 20


class SystemHandle:
    """A running system that ends with this process, or with the `with` block."""

    def __init__(self, settings: LocalSettings, process: subprocess.Popen[bytes], state: SystemState) -> None:
        self.settings = settings
        self._process = process
        self._last_state = state

    @property
    def state(self) -> SystemState:
        """As it is now; the last one known once the system has ended."""
        self._last_state = read_state(self.settings.data_dir) or self._last_state
        return self._last_state

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def ensure_running(self) -> SystemState:
        """Start the system again if it has died, with the API where it was unless that port is taken now."""
        if not self.is_running:
            port = int(self._last_state.api_url.rpartition(":")[2])
            http_port = port if _becomes_free(port) else self.settings.http_port
            again = start_system(replace(self.settings, http_port=http_port))
            self._process, self._last_state = again._process, again._last_state
        return self.state

    def stop(self, timeout_s: float = _STOPPED_WITHIN_S) -> None:
        """Orderly; called again while it still stops, quicker. Past `timeout_s` everything is killed."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> SystemHandle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_system(settings: LocalSettings, *, timeout_s: float = _STARTED_WITHIN_S) -> SystemHandle:
    """Start a system and wait until each part is ready or has refused (see `SystemState.refused`).

    Call from the main thread: the system ends when the thread that started it does. Raises the error that
    kept it from starting: `AlreadyRunning`, `PortInUse`, `DataDirUnusable`, a part's own, `SystemUnavailable`.
    """
    settings = replace(settings, data_dir=settings.data_dir.absolute())
    directory = DataDir(settings.data_dir)
    directory.prepare()
    directory.require_unlocked()
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as announcements:  # noqa: PTH123
        process = _spawn(settings, directory, writer)
        try:
            _await_start(process, announcements, directory, timeout_s)
            state = read_state(settings.data_dir)
            if state is None:
                raise SystemUnavailable(f"the system on {settings.data_dir} ended as soon as it had started")
        except BaseException:
            stop_process(process, signal.SIGTERM, grace_s=_STOPPED_WITHIN_S)
            raise
    return SystemHandle(settings, process, state)


def stop_system(data_dir: Path, timeout_s: float = _STOPPED_WITHIN_S) -> bool:
    """Stop the system that runs on `data_dir`, whoever started it; False when none does.

    Raises `SystemUnavailable` if it has not ended within `timeout_s`, or is not visible from here.
    """
    directory = DataDir(data_dir.absolute())
    pid = directory.holder_pid()
    if pid is None:
        return False
    if not _is_supervisor(pid):
        raise SystemUnavailable(
            f"{data_dir} is held by process {pid} of another machine or container", hint="stop it there"
        )
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while directory.holder_pid() == pid:
        if time.monotonic() > deadline:
            raise SystemUnavailable(
                f"the system on {data_dir} (process {pid}) did not stop in {timeout_s:.0f} s"
            )
        time.sleep(_POLL_S)
    return True


def _spawn(settings: LocalSettings, directory: DataDir, ready_fd: int) -> subprocess.Popen[bytes]:
    """In a session of its own, so that Ctrl-C reaches only the caller, who then stops the system in order."""
    launch = Launch(
        argv=(*module_argv("services.local"), *settings.to_argv(), "--ready-fd", str(ready_fd)),
        env=module_env(),
        parent_death_signal=signal.SIGTERM,
    )
    with open_log(directory.log_file("supervisor")) as log:
        try:
            return subprocess.Popen(launch.argv, pass_fds=(ready_fd,), **launch.options(log))
        finally:
            os.close(ready_fd)


def _await_start(
    process: subprocess.Popen[bytes], announcements: BinaryIO, directory: DataDir, timeout_s: float
) -> None:
    """Raises what kept the system from starting."""
    readable, _, _ = select.select([announcements], [], [], timeout_s)
    if not readable:
        raise SystemUnavailable(f"the system on {directory.path} did not start in {timeout_s:.0f} s")
    line = announcements.readline()
    if not line:
        status = process.wait()
        tail = "\n".join(log_tail(directory.log_file("supervisor"), lines=_TAIL_LINES))
        raise SystemUnavailable(f"the supervisor ended with status {status}:\n{tail}")
    record = json.loads(line)
    if record["event"] == "failed":
        raise error_class(record["code"])(record["message"], hint=record.get("hint", ""))


def _is_supervisor(pid: int) -> bool:
    """A pid from another pid namespace can name a stranger here."""
    try:
        return "services.local" in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


def _becomes_free(port: int) -> bool:
    """The parts of a supervisor that was killed take a moment to follow it."""
    deadline = time.monotonic() + _PORT_FREE_WITHIN_S
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
