"""One attempt at one task: what the handler sees, and what it leaves for the worker loop to send."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from services.kit import bus
from services.kit.codec import encode
from services.kit.errors import (
    AcceleratorUnavailable,
    InferenceUnavailable,
    InvalidInput,
    ScreenalyticsError,
    StageFailed,
)
from services.kit.inference.pool import ModelPool
from services.kit.inference.session import Session
from services.kit.job_log import JobLog
from services.kit.messages import Execution, LogLine, ModelRef, Progress, Task, TaskOutcome, TaskResult, now_at
from services.kit.object_store import ObjectStore
from services.kit.stages import Cancelled, Done, Outcome, Reject, Retry, StageHandler

log = logging.getLogger(__name__)

_PROGRESS_INTERVAL_S = 0.25

# Sends a payload to a subject; called on the event loop.
Send = Callable[[str, bytes], Awaitable[None]]

T = TypeVar("T")


class Attempt:
    """The `TaskContext` of a handler. Its methods may be called from any thread."""

    def __init__(
        self,
        task: Task,
        *,
        attempt_id: str,
        generation: int,
        store: ObjectStore,
        pool: ModelPool,
        scratch_dir: Path,
        thread_cap: int,
        send: Send,
    ) -> None:
        self.task = task
        self.attempt_id = attempt_id
        self.generation = generation
        self.store = store
        self.scratch_dir = scratch_dir
        self.thread_cap = thread_cap
        self._pool = pool
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._cancelled = threading.Event()
        self._ticked_at = monotonic()
        self._progress_at = 0.0
        self._job_log = JobLog(task, attempt_id, self._publish_line)

    @property
    def log_tail(self) -> tuple[str, ...]:
        return tuple(self._job_log.tail)

    @property
    def idle_s(self) -> float:
        """Seconds since the handler last said that work is moving."""
        return monotonic() - self._ticked_at

    def cancel(self) -> None:
        self._cancelled.set()

    def session(self, model: ModelRef) -> Session:
        return self._pool.session(model, threads=self.thread_cap)

    def output_key(self, name: str) -> str:
        return f"{self.task.episode_uid}/{self.attempt_id}/{name}"

    def tick(self) -> None:
        self._ticked_at = monotonic()
        if self._cancelled.is_set():
            raise Cancelled

    def progress(self, phase: str, done: float, total: float, unit: str) -> None:
        self.tick()
        if self._ticked_at - self._progress_at < _PROGRESS_INTERVAL_S and done < total:
            return
        self._progress_at = self._ticked_at
        task = self.task
        snapshot = Progress(
            job_id=task.job_id,
            run_id=task.run_id,
            task_id=task.task_id,
            attempt_id=self.attempt_id,
            generation=self.generation,
            stage=task.stage,
            phase=phase,
            done=done,
            total=total,
            unit=unit,
            at=now_at(),
        )
        self._publish(bus.progress_subject(task.job_id), encode(snapshot))

    def log(self, message: str, *, level: str = "info", is_noisy: bool = False) -> None:
        self._job_log.say(message, level=level, is_noisy=is_noisy)

    def captured(self) -> AbstractContextManager[None]:
        """What the current thread logs becomes part of the job's log."""
        return self._job_log.captured()

    def _publish_line(self, line: LogLine) -> None:
        self._publish(bus.log_subject(line.job_id), encode(line))

    def _publish(self, subject: str, payload: bytes) -> None:
        try:
            self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._send(subject, payload)))
        except RuntimeError as error:
            raise Cancelled from error  # the worker has ended under its handler


def run_handler(handler: StageHandler, attempt: Attempt) -> Outcome | None:
    """The handler's outcome; None when the attempt was cancelled.

    Raises `AcceleratorUnavailable`, `InferenceUnavailable`.

    The boundary where a handler's exceptions become values: bad input is rejected, anything unforeseen is
    worth another attempt, and what models run on, once gone, must end the worker.
    """
    with attempt.captured():
        return _outcome(handler, attempt)


def _outcome(handler: StageHandler, attempt: Attempt) -> Outcome | None:
    try:
        return handler.run(attempt)
    except Cancelled:
        return None
    except (AcceleratorUnavailable, InferenceUnavailable):
        raise
    except InvalidInput as error:
        return Reject(str(error), code=error.code)
    except ScreenalyticsError as error:
        return Retry(str(error))
    except Exception as error:
        log.exception("the handler failed")
        return Retry(f"{type(error).__name__}: {error}")


def in_daemon_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Unlike the default executor's, such a thread does not keep a process alive that must end.

    It works in the caller's context, so that what it logs and measures belongs to the same job and trace.
    """
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    future: asyncio.Future[T] = loop.create_future()

    def settle(setter: Callable[[Any], None], value: Any) -> None:
        if not future.cancelled():
            setter(value)

    def tell(setter: Callable[[Any], None], value: Any) -> None:
        # The loop may have ended under a handler that did not stop in time.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, setter, value)

    def work() -> None:
        try:
            value = context.run(function)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever awaits the future
            tell(future.set_exception, error)
        else:
            tell(future.set_result, value)

    threading.Thread(target=work, name="handler", daemon=True).start()
    return future


def task_result(
    attempt: Attempt, outcome: Outcome | None, execution: Execution, *, worker_id: str, started_at: str
) -> TaskResult:
    """What the orchestrator hears: no outcome is a hand back, a failure brings the attempt's last log lines."""
    task = attempt.task
    result = TaskResult(
        job_id=task.job_id,
        run_id=task.run_id,
        task_id=task.task_id,
        attempt_id=attempt.attempt_id,
        worker_id=worker_id,
        outcome=TaskOutcome.HANDED_BACK,
        execution=execution,
        started_at=started_at,
        finished_at=now_at(),
    )
    match outcome:
        case Done():
            return replace(
                result,
                outcome=TaskOutcome.SUCCEEDED,
                outputs=outcome.outputs,
                counts=outcome.counts,
                warnings=outcome.warnings,
                segments=outcome.segments,
                media_info=outcome.media_info,
            )
        case Reject():
            return replace(
                result,
                outcome=TaskOutcome.REJECTED,
                error_code=outcome.code,
                error_message=outcome.reason,
                log_tail=attempt.log_tail,
            )
        case Retry():
            return replace(
                result,
                outcome=TaskOutcome.RETRY,
                error_message=outcome.reason,
                retry_after_s=outcome.after_s,
                log_tail=attempt.log_tail,
            )
        case None:
            return result


def handed_back(task: Task, attempt_id: str, worker_id: str) -> TaskResult:
    """An attempt that has done nothing."""
    return TaskResult(
        task.job_id,
        task.run_id,
        task.task_id,
        attempt_id,
        worker_id,
        TaskOutcome.HANDED_BACK,
        finished_at=now_at(),
    )


def too_large(result: TaskResult) -> TaskResult:
    """In place of a result that the broker has no room for in a message: it would be refused for ever."""
    return TaskResult(
        result.job_id,
        result.run_id,
        result.task_id,
        result.attempt_id,
        result.worker_id,
        TaskOutcome.REJECTED,
        error_code=StageFailed.code,
        error_message="its result is larger than a message may be",
    )


@contextmanager
def scratch_folder(parent: Path, attempt_id: str) -> Iterator[Path]:
    folder = parent / attempt_id
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
