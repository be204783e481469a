"""The directory in which a whole system keeps everything it owns, and the right to use it."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from services.kit.errors import AlreadyRunning, DataDirUnusable

REQUIRED_FREE_BYTES = 300_000_000
# A reader holds the lock for microseconds to see whether anyone does; a system must outwait that.
_LOCK_WITHIN_S = 0.5
_LOCK_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Secrets:
    postgres_password: str
    nats_password: str


@dataclass(frozen=True, slots=True)
class DataDir:
    path: Path

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def nats(self) -> Path:
        return self.path / "nats"

    @property
    def store(self) -> Path:
        return self.path / "store"

    @property
    def models(self) -> Path:
        """What `screenalytics models pull|add` adds to the catalog; need not exist."""
        return self.path / "models"

    @property
    def scratch(self) -> Path:
        return self.path / "scratch"

    @property
    def state_file(self) -> Path:
        return self.path / "system.json"

    @property
    def lock_file(self) -> Path:
        return self.path / "system.lock"

    @property
    def secrets_file(self) -> Path:
        return self.path / "secrets.json"

    def log_file(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def prepare(self, *, required_free_bytes: int = REQUIRED_FREE_BYTES) -> None:
        """Make the directory and prove that it takes data, by writing some. Raises `DataDirUnusable`."""
        try:
            self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
            _write_through(self.path)
            free_bytes = shutil.disk_usage(self.path).free
            if free_bytes < required_free_bytes:
                raise DataDirUnusable(
                    f"{self.path} has {free_bytes / 1e6:.0f} MB free and a system needs "
                    f"{required_free_bytes / 1e6:.0f} MB",
                    hint="free some space or choose another --data-dir",
                )
            for folder in (self.store, self.scratch):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DataDirUnusable(
                f"{self.path} cannot be written: {error.strerror}", hint="choose another --data-dir"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; the kernel lets go of it when the process ends, however it ends.

        Raises `AlreadyRunning` when another process holds it.
        """
        with self.lock_file.open("a+") as lock:
            deadline = time.monotonic() + _LOCK_WITHIN_S
            while not _try_lock(lock.fileno(), fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise self._already_running(_recorded_pid(lock))
                time.sleep(_LOCK_POLL_S)
            lock.truncate(0)
            print(os.getpid(), file=lock, flush=True)
            yield

    def require_unlocked(self) -> None:
        """Raises `AlreadyRunning` when a living process holds the directory."""
        if (pid := self.holder_pid()) is not None:
            raise self._already_running(pid)

    def holder_pid(self) -> int | None:
        """The living process that holds the directory, if one does."""
        try:
            with self.lock_file.open() as lock:
                return None if _try_lock(lock.fileno(), fcntl.LOCK_SH) else _recorded_pid(lock)
        except OSError:
            return None

    def _already_running(self, pid: int | None) -> AlreadyRunning:
        return AlreadyRunning(
            f"a system already runs on {self.path} (process {pid})",
            hint="stop it, or choose another --data-dir",
        )

    def secrets(self) -> Secrets:
        """The passwords of this directory's servers, made at the first call. Raises `DataDirUnusable`."""
        if not self.secrets_file.exists():
            if (self.postgres / "cluster").exists():
                raise DataDirUnusable(
                    f"{self.secrets_file} is missing, and the database in {self.postgres} needs its password",
                    hint="restore the file from a backup",
                )
            generated = Secrets(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
            write_atomically(self.secrets_file, asdict(generated), durable=True)
        try:
            return Secrets(**json.loads(self.secrets_file.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise DataDirUnusable(f"{self.secrets_file} cannot be read: {error}") from error


def default_data_dir(env: Mapping[str, str] = os.environ) -> Path:
    """XDG Base Directory Specification: `$XDG_DATA_HOME`, ignored unless absolute, else `~/.local/share`."""
    configured = Path(env.get("XDG_DATA_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".local" / "share"
    return base / "screenalytics"


def write_atomically(path: Path, content: Mapping[str, object], *, durable: bool) -> None:
    """Readers see the old JSON or the new, never a part; readable by the owner alone. Raises `OSError`.

    `durable` content also survives the machine's end, at the price of waiting for the disk.
    """
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            json.dump(content, file, indent=2)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(file.name).unlink()
            raise


def _write_through(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"\0" * 65536)
        probe.flush()
        os.fsync(probe.fileno())


def _recorded_pid(lock: TextIO) -> int | None:
    """None while the holder, which has only just locked, writes its pid."""
    lock.seek(0)
    text = lock.read().strip()
    return int(text) if text.isdigit() else None


def _try_lock(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
