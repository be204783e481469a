"""One supervised process: started, seen to be ready, watched, started again, stopped."""

from __future__ import annotations

import asyncio
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.kit.errors import ScreenalyticsError, SystemUnavailable
from services.local.launch import Launch, sweep_group
from services.local.part_log import log_tail, open_log, refusal_in
from services.local.policy import Exit, Record, Verdict, judge, restart_delay_s
from services.local.ports import require_free
from services.local.readiness import POLL_S, Obstacle
from services.local.state import PartState, PartStatus

_TAIL_LINES = 20
_HURRIED_GRACE_S = 1.0


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class PartSpec:
    """`prepare` runs before each start, off the event loop. The first port is the one shown to users."""

    name: str
    launch: Launch
    ports: tuple[int, ...]
    obstacle: Obstacle
    prepare: Callable[[], None] = _nothing
    ready_within_s: float = 60.0
    stop_grace_s: float = 20.0
    can_refuse: bool = False


class Part:
    """Keeps the process of `spec` running. `on_change` hears every new status, on the event loop."""

    def __init__(self, spec: PartSpec, log_path: Path, on_change: Callable[[PartStatus], None]) -> None:
        self.spec = spec
        self.status = PartStatus(spec.name, port=spec.ports[0])
        self.settled = asyncio.Event()  # has been ready, or has refused
        self._log_path = log_path
        self._log_start_byte = 0
        self._on_change = on_change
        self._process: Process | None = None
        self._ready_at: float | None = None
        self._overdue: str | None = None  # why it was given up before it was ready
        self._start_error: ScreenalyticsError | None = None

    async def keep_running(self) -> None:
        """To stop the part, cancel this, then call `stop`. Returns when the part refuses to run.

        Raises the part's own error, or `SystemUnavailable` with its last log lines, if it never gets ready.
        """
        record = Record()
        while True:
            ended = await self._run_once()
            record = record.after(ended)
            verdict = judge(ended, record, can_refuse=self.spec.can_refuse)
            if verdict is Verdict.REFUSE:
                self._change(state=PartState.REFUSED, reason=self._reason())
                return self.settled.set()
            if verdict is Verdict.GIVE_UP:
                self._change(state=PartState.FAILED, reason=self._reason())
                raise self._failure()
            delay_s = restart_delay_s(record)
            self._change(
                state=PartState.BACKING_OFF,
                restarts=self.status.restarts + 1,
                reason=f"{self._reason()}; again in {delay_s:.1f} s",
            )
            await asyncio.sleep(delay_s)

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ask by signal; kill after the part's grace, which `hurry` cuts short."""
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(self.spec.launch.stop_signal)
            await self._outwait(process, hurry)
            sweep_group(process.pid)
            self._change(pid=None, last_exit=process.returncode)
        if self.status.state not in (PartState.REFUSED, PartState.FAILED):
            self._change(state=PartState.STOPPED, pid=None)

    async def _run_once(self) -> Exit:
        self._ready_at = self._overdue = self._start_error = None
        try:
            process = await self._start()
        except (ScreenalyticsError, OSError) as error:
            self._start_error = _as_start_error(error)
            return Exit(None, None)
        readiness = asyncio.create_task(self._await_ready(process))
        try:
            status = await process.wait()
        finally:
            readiness.cancel()
        sweep_group(process.pid)
        self._change(pid=None, last_exit=status)
        ready_for_s = None if self._ready_at is None else time.monotonic() - self._ready_at
        return Exit(status, ready_for_s, was_overdue=self._overdue is not None)

    async def _start(self) -> Process:
        self._change(state=PartState.STARTING, reason=None)
        await asyncio.to_thread(self.spec.prepare)
        for port in self.spec.ports:
            require_free(port, wanted_by=self.spec.name)
        with open_log(self._log_path) as log:
            self._log_start_byte = log.tell()
            launch = self.spec.launch
            process = await asyncio.create_subprocess_exec(*launch.argv, **launch.options(log.fileno()))
        self._process = process
        self._change(pid=process.pid)
        return process

    async def _await_ready(self, process: Process) -> None:
        obstacle: str | None = None
        try:
            async with asyncio.timeout(self.spec.ready_within_s):
                while True:
                    obstacle = await asyncio.to_thread(self.spec.obstacle)
                    if obstacle is None:
                        break
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            self._overdue = f"was not ready within {self.spec.ready_within_s:.0f} s: {obstacle}"
            with suppress(ProcessLookupError):
                process.kill()
            return
        self._ready_at = time.monotonic()
        self._change(state=PartState.READY, reason=None)
        self.settled.set()

    async def _outwait(self, process: Process, hurry: asyncio.Event) -> None:
        """Wait for the end of `process`, and bring it about when patience has run out."""
        ended = asyncio.create_task(process.wait())
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait(
            {ended, hurried}, timeout=self.spec.stop_grace_s, return_when=asyncio.FIRST_COMPLETED
        )
        hurried.cancel()
        if hurry.is_set():
            await asyncio.wait({ended}, timeout=_HURRIED_GRACE_S)
        if not ended.done():
            process.kill()
        await ended

    def _reason(self) -> str:
        """One line: the part's own word if it left one, else what was seen from outside."""
        if self._start_error is not None:
            return str(self._start_error)
        lines = self._last_lines()
        if (refusal := refusal_in(lines)) is not None:
            return refusal.message
        seen = self._overdue or _exit_in_words(self.status.last_exit)
        return f"{seen}: {lines[-1].strip()}" if lines else seen

    def _failure(self) -> ScreenalyticsError:
        """The part's own error, named after it, with the end of its log when it gave none."""
        refusal = self._start_error or refusal_in(self._last_lines())
        if refusal is not None:
            return type(refusal)(f"{self.spec.name}: {refusal.message}", hint=refusal.hint)
        tail = "\n".join(self._last_lines())
        return SystemUnavailable(
            f"{self.spec.name} did not become ready; it {self._reason()}\n{self._log_path} ends:\n{tail}"
        )

    def _last_lines(self) -> list[str]:
        return log_tail(self._log_path, lines=_TAIL_LINES, start_byte=self._log_start_byte)

    def _change(self, **fields: Any) -> None:
        self.status = replace(self.status, **fields)
        self._on_change(self.status)


def _as_start_error(error: ScreenalyticsError | OSError) -> ScreenalyticsError:
    return error if isinstance(error, ScreenalyticsError) else SystemUnavailable(f"cannot be started: {error}")


def _exit_in_words(status: int | None) -> str:
    if status is None:
        return "ended"
    return f"ended with status {status}" if status >= 0 else f"was killed by {signal.Signals(-status).name}"
