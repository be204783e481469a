"""A file over HTTP: what is there already is not fetched again, and only the right digest is ever kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx

from services.kit.errors import ModelUnusable, SystemUnavailable

_TRIES = 5
_MAX_BYTES = 4 << 30
_TIMEOUT = httpx.Timeout(30.0)

# Bytes had so far, and bytes in all where the server says.
OnProgress = Callable[[int, int | None], None]


def fetch(url: str, target: Path, *, sha256: str, on_progress: OnProgress) -> None:
    """Leaves the file at `target`, or nothing new there. A broken transfer is resumed, also by a later call.

    Raises `SystemUnavailable`, and `ModelUnusable` when what came is not the file of that digest.
    """
    part = target.with_name(f"{target.name}.part")
    with httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client:
        for tries_left in reversed(range(_TRIES)):
            try:
                _fetch_rest(client, url, part, on_progress)
                break
            except httpx.TransportError as error:
                if not tries_left:
                    raise SystemUnavailable(
                        f"{url} broke off: {error or type(error).__name__}",
                        hint="run the command again: it goes on where it stopped",
                    ) from error
            except httpx.RequestError as error:  # such as redirects without an end
                raise SystemUnavailable(f"{url} cannot be fetched: {error}") from error
    _keep_if_right(part, target, url, sha256)


def _fetch_rest(client: httpx.Client, url: str, part: Path, on_progress: OnProgress) -> None:
    """Raises `httpx.TransportError` for what may be resumed, `SystemUnavailable` for what may not."""
    held = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={held}-"} if held else {})}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and held:
            return  # there is no more than what is held; the digest tells whether that is the file
        if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise SystemUnavailable(f"{url} answers {response.status_code} {response.reason_phrase}")
        is_rest = response.headers.get("Content-Range", "").startswith(f"bytes {held}-")
        if response.status_code == httpx.codes.OK or not is_rest:
            held = 0
        length = response.headers.get("Content-Length", "")
        total = held + int(length) if length.isdecimal() else None
        with part.open("ab" if held else "wb") as file:
            for chunk in response.iter_raw():
                held += file.write(chunk)
                if held > _MAX_BYTES:
                    raise SystemUnavailable(f"{url} sends more than {_MAX_BYTES >> 30} GiB")
                on_progress(held, total)


def _keep_if_right(part: Path, target: Path, url: str, sha256: str) -> None:
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        part.unlink()
        raise ModelUnusable(
            f"{url} is not the file the catalog names: its sha256 is {found}, expected {sha256}"
        )
    part.replace(target)
