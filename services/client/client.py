"""The client: one method per thing the API can do."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from services.client.episodes import EpisodeCalls
from services.client.jobs import JobCalls
from services.client.keys import ApiKeys
from services.client.parsing import parse_each
from services.client.records import Worker
from services.client.transport import Transport


class Client(EpisodeCalls, JobCalls):
    """A session with the API at `base_url`.

    `timeout_s` bounds each wait for the server. A server that refuses connections, or answers 502 to 504, is
    tried again for `retry_for_s` before `ApiUnavailable` is raised; one that answers 429 is called again when
    it wants that, if it is within that time. `user_agent` names the submitter of jobs.
    `token` is sent as a bearer's; `ca_file` holds the authorities (PEM) to trust instead of the usual ones.
    Methods raise `ApiError`, `ApiUnavailable` and `UnexpectedAnswer`, the constructor `InvalidAddress` and
    `InvalidCredentials`. Lists are read page by page, as far as they are iterated.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = 30.0,
        retry_for_s: float = 30.0,
        user_agent: str = "screenalytics-client",
        token: str = "",
        ca_file: Path | None = None,
    ) -> None:
        super().__init__(
            Transport(base_url, timeout_s, retry_for_s, user_agent=user_agent, token=token, ca_file=ca_file)
        )
        self.keys = ApiKeys(self._transport)

    @property
    def base_url(self) -> str:
        return self._transport.base_url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def workers(self) -> list[Worker]:
        return parse_each(Worker, self._get("/v1/workers"), "workers")

    def profiles(self) -> Any:
        """The profile table as decoded JSON."""
        return self._get("/v1/profiles")
