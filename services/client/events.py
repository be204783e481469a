"""What happens to a job, as its event stream tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from httpx_sse import ServerSentEvent
from pydantic.dataclasses import dataclass

from services.client.errors import UnexpectedAnswer
from services.client.parsing import parse


@dataclass(frozen=True)
class StateChange:
    """Of a stage run; of the job itself when `stage` is None."""

    seq: int
    state: str
    stage: str | None = None
    reason: str | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class LogLine:
    """`line` counts the lines of an attempt; a line of the orchestrator's own has neither. `noise_rule` is the
    rule that tagged a noisy line; `logged_at` is the worker's time, `at` the orchestrator's."""

    seq: int
    message: str
    level: str = "info"
    stage: str | None = None
    is_noisy: bool = False
    noise_rule: str | None = None
    attempt_id: str | None = None
    line: int | None = None
    logged_at: datetime | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class StageProgress:
    """A snapshot: some are left out on the way. `fraction` is 0..1 of the stage."""

    stage: str
    phase: str
    done: float
    total: float
    unit: str
    fraction: float
    rate: float | None = None
    fps: float | None = None
    eta_s: float | None = None


JobEvent = StateChange | LogLine | StageProgress

END = "end"
_EVENT_CLASSES: Mapping[str, type[StateChange] | type[LogLine] | type[StageProgress]] = {
    "state": StateChange,
    "log": LogLine,
    "progress": StageProgress,
}


def event_of(sse: ServerSentEvent) -> JobEvent | None:
    """The event in a server-sent event; None for a kind of event from a newer server.

    Raises `UnexpectedAnswer`.
    """
    cls = _EVENT_CLASSES.get(sse.event)
    if cls is None or not sse.data:
        return None
    try:
        data = json.loads(sse.data)
    except ValueError as error:
        raise UnexpectedAnswer(f"the {sse.event} event is not JSON: {sse.data[:200]!r}") from error
    return parse(cls, data)
