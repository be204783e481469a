"""A client of the system in use, and what to do when that system goes away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from typing import TypeVar

import psutil

from services.cli.local_system import LocalSystem, looking_into
from services.cli.options import SystemOptions
from services.cli.remote import remote_client
from services.cli.screen import Screen
from services.cli.upload_view import UploadView
from services.client import ApiUnavailable, Client, Episode, Worker
from services.kit.errors import InvalidInput, NotFound
from services.kit.inference.placement import Provider
from services.local import LocalSettings, default_data_dir

T = TypeVar("T")

_RETRY_REMOTE_FOR_S = 30.0
# A local system is looked after between tries, so each can be short.
_RETRY_LOCAL_FOR_S = 5.0
_PROBE_FOR_S = 3.0
# A job outlives many deaths of the system, but not a system that dies each time it is brought back.
_RECOVERIES_IN_A_ROW = 6


class Session:
    """`local` is None for a system at an address, which cannot be brought back from here."""

    def __init__(self, api_url: str, local: LocalSystem | None) -> None:
        self.local = local
        self.client = self._client(api_url)

    @property
    def logs(self) -> str:
        """Where to look when a job has failed."""
        return f"{self.local.data_dir / 'logs'}" if self.local else f"those of {self.client.base_url}"

    def close(self) -> None:
        self.client.close()

    def steadily(self, call: Callable[[Client], T]) -> T:
        """What `call` answers, made again after a local system was brought back.

        Raises `ApiUnavailable` when it stays away, and what keeps a local system from starting.
        """
        for _ in range(_RECOVERIES_IN_A_ROW):
            try:
                return call(self.client)
            except ApiUnavailable:
                if self.local is None:
                    raise
                self._turn_to(self.local.ensure_running())
        return call(self.client)

    def register(self, video: Path, ep_id: str | None, screen: Screen) -> Episode:
        """By path on this machine; by sending the bytes elsewhere, or where the path is no valid text.

        Raises `InvalidInput` for a file that can no longer be read, and what `steadily` raises.
        """
        if self.local is not None and _is_text(video):
            return self.steadily(lambda client: client.register(video, ep_id=ep_id))
        screen.say(f"uploading {video.name.encode(errors='replace').decode()} to {self.client.base_url}")
        view = UploadView(screen)
        try:
            return self.steadily(lambda client: client.upload(video, ep_id=ep_id, on_sent=view.show))
        except OSError as error:
            raise InvalidInput(f"cannot read {video}: {error.strerror or error}") from error

    def _turn_to(self, api_url: str) -> None:
        if api_url != self.client.base_url:
            self.client.close()
            self.client = self._client(api_url)

    def apart(self) -> Client:
        """A client of its own: an interrupt may have left the other one in the middle of an answer."""
        return self._client(self.client.base_url)

    def _client(self, api_url: str) -> Client:
        agent = f"screenalytics-cli ({psutil.Process().username()}@{gethostname()})"
        if self.local is not None:
            return Client(api_url, retry_for_s=_RETRY_LOCAL_FOR_S, user_agent=agent)
        return remote_client(api_url, retry_for_s=_RETRY_REMOTE_FOR_S, user_agent=agent)


@contextmanager
def open_session(options: SystemOptions, screen: Screen, *, workers: bool = True) -> Iterator[Session]:
    """With the system at the address, else with the one of the data directory.

    Raises `SystemUnavailable` and its kin, `AcceleratorUnavailable`, `ApiUnavailable`, `InvalidAddress`.
    """
    local = None if options.api else LocalSystem(_settings(options, workers=workers), screen)
    try:
        api_url = local.ensure_running() if local else _answering(options.api or "")
        session = Session(api_url, local)
        try:
            yield session
        finally:
            session.close()
    finally:
        if local is not None:
            local.stop()


def data_dir_of(options: SystemOptions) -> Path:
    return (options.data_dir or default_data_dir()).absolute()


def require_episodes(options: SystemOptions) -> None:
    """Raises `NotFound` before a system is made in vain on a directory that never had one."""
    data_dir = data_dir_of(options)
    with looking_into(data_dir):
        is_there = data_dir.exists()
    if not options.api and not is_there:
        raise NotFound(f"there is no system in {data_dir}", hint="is it the --data-dir of the run?")


def cpu_notice(workers: list[Worker]) -> str | None:
    """What to say aloud when models execute on the CPU; None when none does."""
    on_cpu = [worker for worker in workers if worker.effective_provider == Provider.CPU]
    if not on_cpu:
        return None
    stages = ", ".join(sorted({worker.stage for worker in on_cpu}))
    threads = max((worker.thread_cap or 0 for worker in on_cpu), default=0)
    cap = f", at most {threads} threads a stage" if threads else ""
    return f"running on the CPU of this machine: {stages}{cap}"


def _answering(api_url: str) -> str:
    """Raises `ApiUnavailable` for an address where no system answers now, `InvalidAddress` for no address."""
    with remote_client(api_url, timeout_s=10.0, retry_for_s=_PROBE_FOR_S) as probe:
        probe.profiles()
    return api_url


def _settings(options: SystemOptions, *, workers: bool) -> LocalSettings:
    return LocalSettings(
        data_dir=data_dir_of(options),
        device=options.device or Provider.CUDA,
        allow_cpu_fallback=options.allow_cpu_fallback,
        workers=workers,
    )


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
