"""HTTP with patience: a call outlives a restart of the server.

Every call of this API may be sent twice: reads and cancels change nothing by repetition, an upload is known by
its digest, what makes a job carries an idempotency key, and an edit says what is to be.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import httpx

from services.client.backoff import Backoff
from services.client.errors import (
    ApiUnavailable,
    InvalidAddress,
    InvalidCredentials,
    UnexpectedAnswer,
    error_of,
)

# A proxy answers 502 and 504 while the server behind it restarts.
_TRY_AGAIN = frozenset({502, 503, 504})
TOO_MANY_CALLS = 429
_TOKEN = re.compile(r"[\x21-\x7e]+")

OnSent = Callable[[int, int], None]


@dataclass(frozen=True)
class Call:
    """One request. `body` is read from its start at every try; `answer_within_s` overrides the client's."""

    method: str
    path: str
    params: Mapping[str, str] | None = None
    json: Any = None
    content: bytes | None = None
    body: Path | None = None
    on_sent: OnSent | None = None
    headers: Mapping[str, str] | None = None
    answer_within_s: float | None = None


@dataclass(frozen=True)
class Answer:
    response: httpx.Response

    def json(self) -> Any:
        """Raises `ApiError`, `UnexpectedAnswer`."""
        self.require_success()
        try:
            return self.response.json()
        except ValueError as error:
            raise UnexpectedAnswer(f"{self.response.request.url} did not answer with JSON") from error

    def require_success(self) -> None:
        """Raises `ApiError`, `UnexpectedAnswer`."""
        if self.response.status_code >= 300:
            raise error_of(self.response)


class Transport:
    def __init__(
        self,
        base_url: str,
        timeout_s: float,
        retry_for_s: float,
        *,
        user_agent: str,
        token: str = "",
        ca_file: Path | None = None,
    ) -> None:
        """Raises `InvalidAddress`, `InvalidCredentials`."""
        self.base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._retry_for_s = retry_for_s
        # A proxy from the environment must not get between this process and its own machine.
        self._http = httpx.Client(
            base_url=self.base_url,
            timeout=timeout_s,
            headers={"User-Agent": user_agent.encode("ascii", errors="replace").decode(), **_bearer(token)},
            verify=_authorities(ca_file),
            trust_env=not _is_loopback(self.base_url),
        )

    def close(self) -> None:
        self._http.close()

    def call(self, call: Call) -> Answer:
        """Any answer but 502 to 504, errors included. Raises `ApiUnavailable`.

        A 429 is answered only where the server wants a longer wait than there is time for.
        """
        return self._retrying(lambda: self._read(call))

    @contextmanager
    def stream(self, call: Call) -> Iterator[httpx.Response]:
        """One try, an answer below 300. Raises `httpx.TransportError`, `ApiError`, `UnexpectedAnswer`."""
        with self._http.stream(**self._request(call)) as response:
            if response.status_code >= 300:
                response.read()
                raise error_of(response)
            yield response

    def download(self, call: Call, target: IO[bytes]) -> None:
        """Replace what `target` holds by the answer's body.

        Raises `ApiError`, `UnexpectedAnswer`, `ApiUnavailable`, and `OSError` of the target.
        """
        self._retrying(lambda: self._write(call, target)).require_success()

    def _retrying(self, one_try: Callable[[], httpx.Response]) -> Answer:
        backoff = Backoff(self._retry_for_s)
        while True:
            try:
                response = one_try()
            except httpx.RequestError as error:
                reason = _reason(error)
            else:
                if response.status_code == TOO_MANY_CALLS and backoff.pause(
                    at_least_s=_retry_after_s(response)
                ):
                    continue
                if response.status_code not in _TRY_AGAIN:
                    return Answer(response)
                reason = _reason_of_status(response)
            if not backoff.pause():
                raise ApiUnavailable(self.base_url, reason)

    def _read(self, call: Call) -> httpx.Response:
        if call.body is None:
            return self._http.request(**self._request(call))
        with call.body.open("rb") as file:
            size_bytes = call.body.stat().st_size
            body = _Reported(file, size_bytes, call.on_sent)
            return self._http.request(**self._request(call), content=body)

    def _write(self, call: Call, target: IO[bytes]) -> httpx.Response:
        target.seek(0)
        target.truncate()
        with self._http.stream(**self._request(call)) as response:
            if response.status_code >= 300:
                response.read()
                return response
            for chunk in response.iter_bytes():
                target.write(chunk)
        return response

    def _request(self, call: Call) -> dict[str, Any]:
        timeout = httpx.Timeout(self._timeout_s, read=call.answer_within_s or self._timeout_s)
        request = {"method": call.method, "url": call.path, "timeout": timeout}
        optional = {
            "params": call.params,
            "json": call.json,
            "content": call.content,
            "headers": call.headers,
        }
        return request | {name: value for name, value in optional.items() if value is not None}


class _Reported:
    """A file that tells how much of it was read; httpx takes its length from the descriptor."""

    def __init__(self, file: BinaryIO, size_bytes: int, on_sent: OnSent | None) -> None:
        self._file = file
        self._size_bytes = size_bytes
        self._on_sent = on_sent

    def fileno(self) -> int:
        return self._file.fileno()

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._file.read(1 << 20):
            yield chunk
            if self._on_sent is not None:
                self._on_sent(self._file.tell(), self._size_bytes)


def _bearer(token: str) -> dict[str, str]:
    if token and not _TOKEN.fullmatch(token):
        raise InvalidCredentials("the token is not made of visible ASCII characters")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _authorities(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # an SSLError is one
        raise InvalidCredentials(f"{ca_file} holds no certificates in PEM: {error}") from error


def _reason(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"timed out ({type(error).__name__})"
    return str(error) or type(error).__name__


def _reason_of_status(response: httpx.Response) -> str:
    error = error_of(response)
    return f"{response.status_code} {error}"


def _retry_after_s(response: httpx.Response) -> float:
    """0 where the server does not say it in seconds."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdecimal() else 0.0


def _is_loopback(base_url: str) -> bool:
    """Raises `InvalidAddress`."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise InvalidAddress(base_url) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidAddress(base_url)
    if url.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return False
