"""Following a job over server-sent events (WHATWG HTML, section 9.2) through lost connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
from httpx_sse import EventSource, SSEError

from services.client.backoff import Backoff
from services.client.errors import ApiError, UnexpectedAnswer
from services.client.events import END, JobEvent, StageProgress, event_of
from services.client.records import Job
from services.client.transport import TOO_MANY_CALLS, Call, Transport

# The server sends a comment well within this time when there is nothing to tell.
_SILENCE_S = 30.0


class JobWatch:
    """The events of one job after `seq`, each once and in order."""

    def __init__(self, transport: Transport, path: str, seq: int, read_job: Callable[[], Job]) -> None:
        self._transport = transport
        self._path = path
        self._seq = seq
        self._read_job = read_job
        self._has_news = False
        self._is_complete = False

    def __iter__(self) -> Iterator[JobEvent]:
        backoff = Backoff(float("inf"))
        was_over = False
        while True:
            self._has_news = False
            yield from self._one_connection()
            if self._is_complete:
                return
            # Waits while the server is away; a server that cannot stream is followed by this alone.
            is_over = self._read_job().has_ended
            if was_over and is_over and not self._has_news:
                return
            was_over = is_over
            backoff = Backoff(float("inf")) if self._has_news else backoff
            backoff.pause()

    def _one_connection(self) -> Iterator[JobEvent]:
        """Until the end of the job or of the connection. Raises `ApiError` for a job that is not there."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._seq:
            headers["Last-Event-ID"] = str(self._seq)
        call = Call("GET", self._path, headers=headers, answer_within_s=_SILENCE_S)
        try:
            with self._transport.stream(call) as response:
                yield from self._new_events(response)
        except (httpx.RequestError, SSEError):
            return
        except (ApiError, UnexpectedAnswer) as error:
            # Of a server that is starting or wants a slower caller, or of the proxy before it; the job itself
            # is asked next, with patience.
            if isinstance(error, ApiError) and error.status < 500 and error.status != TOO_MANY_CALLS:
                raise

    def _new_events(self, response: httpx.Response) -> Iterator[JobEvent]:
        for sse in EventSource(response).iter_sse():
            if sse.event == END:
                self._is_complete = True
                return
            event = event_of(sse)
            if event is None or not self._is_new(event):
                continue
            self._has_news = True
            yield event

    def _is_new(self, event: JobEvent) -> bool:
        if isinstance(event, StageProgress):
            return True
        is_new = event.seq > self._seq
        self._seq = max(self._seq, event.seq)
        return is_new
