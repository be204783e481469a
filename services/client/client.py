"""The client: one method per thing the API can do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import IO, Any, Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

from services.client.errors import UnexpectedAnswer
from services.client.events import JobEvent, LogLine
from services.client.keys import ApiKeys
from services.client.overrides import Overrides
from services.client.records import (
    Artifact,
    Episode,
    EpisodeStatus,
    Erasure,
    Identity,
    ImportedFile,
    Job,
    TrashedEpisode,
    Why,
    Worker,
    parse,
    parse_each,
)
from services.client.transport import Call, OnSent, Transport
from services.client.uploads import ResumableUpload
from services.client.watch import JobWatch

# Registering reads the whole video once more on the server, to know its digest, before it answers.
_REGISTER_WITHIN_S = 900.0
_RESUMABLE_FROM_BYTES = 64 << 20
# A server that fetches a video bounds that by a setting of its own.
_FETCH_WITHIN_S = 4 * 3600.0
_WAIT_S = 20.0  # of one call; well within what proxies allow

T = TypeVar("T")


class Client:
    """A session with the API at `base_url`.

    `timeout_s` bounds each wait for the server. A server that refuses connections, or answers 502 to 504, is
    tried again for `retry_for_s` before `ApiUnavailable` is raised. `user_agent` names the submitter of jobs.
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
        self._transport = Transport(
            base_url, timeout_s, retry_for_s, user_agent=user_agent, token=token, ca_file=ca_file
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

    def upload(
        self,
        video: Path,
        *,
        ep_id: str | None = None,
        replace: bool = False,
        resumable: bool | None = None,
        on_sent: OnSent | None = None,
    ) -> Episode:
        """Register a video by sending its bytes; `on_sent` hears of bytes sent and bytes in all.

        `resumable`: in parts, of which a broken connection costs one; by default for large files. The same
        content again answers with the episode that is there. Raises `OSError` for an unreadable file.
        """
        name = video.name.encode(errors="replace").decode()
        params = {"filename": name, "replace": _flag(replace)} | ({"ep_id": ep_id} if ep_id else {})
        if resumable or (resumable is None and video.stat().st_size >= _RESUMABLE_FROM_BYTES):
            upload = ResumableUpload(self._transport, ready_within_s=_REGISTER_WITHIN_S, on_sent=on_sent)
            return self.episode(upload.send(video, params))
        call = Call(
            "POST",
            "/v1/episodes",
            params=params,
            body=video,
            on_sent=on_sent,
            headers={"Content-Type": "application/octet-stream"},
            answer_within_s=_REGISTER_WITHIN_S,
        )
        return parse(Episode, self._transport.call(call).json())

    def register(self, video: Path, *, ep_id: str | None = None, replace: bool = False) -> Episode:
        """Register a video by its path, where the server allows that: it must see the same file system."""
        body = {"path": str(video), "ep_id": ep_id, "replace": replace}
        call = Call("POST", "/v1/episodes", json=body, answer_within_s=_REGISTER_WITHIN_S)
        return parse(Episode, self._transport.call(call).json())

    def register_source(
        self, source_uri: str, *, ep_id: str | None = None, replace: bool = False, sha256: str | None = None
    ) -> Episode:
        """Register a video that the server fetches itself, and that must have the digest where one is given.

        Raises `ApiError`: `address-refused` for a URI that the server may not read, `digest-mismatch`, and
        `remote-unavailable` where it found nothing.
        """
        body = {"source_uri": source_uri, "ep_id": ep_id, "replace": replace, "sha256": sha256}
        call = Call("POST", "/v1/episodes", json=body, answer_within_s=_FETCH_WITHIN_S)
        return parse(Episode, self._transport.call(call).json())

    def episodes(self) -> Iterator[Episode]:
        return self._pages(Episode, "/v1/episodes", "episodes", {})

    def episode(self, ep_id: str) -> Episode:
        return parse(Episode, self._get(_episode(ep_id)))

    def update_episode(
        self,
        ep_id: str,
        *,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> Episode:
        """The episode with another title or other labels; None keeps what is there.

        `if_match`: an `etag`; `ApiError` (`precondition-failed`) is raised when the episode has changed since,
        and also when the answer to a try was lost that had changed it.
        """
        body = {"title": title, "labels": labels}
        given = {name: value for name, value in body.items() if value is not None}
        call = Call("PATCH", _episode(ep_id), json=given, headers=_if_match(if_match))
        return parse(Episode, self._transport.call(call).json())

    def episode_status(self, ep_id: str) -> EpisodeStatus:
        return parse(EpisodeStatus, self._get(_episode(ep_id, "status")))

    def identities(self, ep_id: str) -> list[Identity]:
        return parse_each(Identity, self._get(_episode(ep_id, "identities")), "identities")

    def artifacts(self, ep_id: str) -> list[Artifact]:
        return parse_each(Artifact, self._get(_episode(ep_id, "artifacts")), "artifacts")

    def export_names(self, ep_id: str, fmt: str) -> list[str]:
        """Names of the files that make up the export in `fmt`, `jsonl` or `csv`."""
        answer = self._get(_episode(ep_id, "exports"), {"format": fmt})
        if not isinstance(answer, dict) or not isinstance(answer.get("files"), list):
            raise UnexpectedAnswer("the answer has no list 'files'")
        return [str(name) for name in answer["files"]]

    def download_export(self, ep_id: str, name: str, target: IO[bytes]) -> None:
        """Write one file of an export to `target`, from its start; a lost connection starts it anew."""
        self._transport.download(Call("GET", _episode(ep_id, "exports", *name.split("/"))), target)

    def import_file(
        self, ep_id: str, name: str, file: Path, *, modified_at: datetime, run_id: str = ""
    ) -> ImportedFile:
        """Register a file of the older system, such as `faces.jsonl`, under its episode.

        Raises `OSError` for an unreadable file, `ApiError` (`damaged-file`) for one that cannot be imported.
        """
        params = {"modified_at": modified_at.isoformat()} | ({"run_id": run_id} if run_id else {})
        headers = {"Content-Type": "application/octet-stream"}
        path = _episode(ep_id, "imports", name)
        call = Call("PUT", path, params=params, body=file, headers=headers, answer_within_s=_REGISTER_WITHIN_S)
        return parse(ImportedFile, self._transport.call(call).json())

    def imported_files(self, ep_id: str) -> list[ImportedFile]:
        return parse_each(ImportedFile, self._get(_episode(ep_id, "imports")), "files")

    def erase(self, ep_id: str) -> Erasure:
        """Erase everything of an episode, for good. The receipt is done when nothing more can turn up."""
        return parse(Erasure, self._transport.call(Call("DELETE", _episode(ep_id))).json())

    def erasure(self, erasure_id: str) -> Erasure:
        return parse(Erasure, self._get(f"/v1/erasures/{quote(erasure_id, safe='')}"))

    def trash(self, ep_id: str) -> TrashedEpisode:
        """Hide an episode and cancel its jobs; it is erased once its time in the trash is over."""
        return parse(TrashedEpisode, self._transport.call(Call("POST", f"{_episode(ep_id)}:trash")).json())

    def restore(self, ep_id: str) -> Episode:
        return parse(Episode, self._transport.call(Call("POST", f"{_episode(ep_id)}:restore")).json())

    def submit(
        self,
        ep_id: str,
        *,
        kind: str = "pipeline",
        profile: str | None = None,
        device: str | None = None,
        allow_cpu_fallback: bool = False,
        acknowledge_zero_rows: bool = False,
        force: bool = False,
        overrides: Overrides | None = None,
        execution_mode: str | None = None,
        execution_place: str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Ask for one stage of an episode, or for a pipeline of all; `force` works again on equal facts.

        `acknowledge_zero_rows` runs a stage although the one before it found nothing.
        `execution_mode` and `execution_place` are recorded with the job.

        However often it is said, one `idempotency_key` is one job; without it each call is a job of its own,
        and still one job where the answer to a try was lost.
        """
        body = {
            "ep_id": ep_id,
            "kind": kind,
            "profile": profile,
            "device": device,
            "allow_cpu_fallback": allow_cpu_fallback,
            "acknowledge_zero_rows": acknowledge_zero_rows,
            "force": force,
            "execution_mode": execution_mode,
            "execution_place": execution_place,
            "overrides": overrides.given() if overrides else {},
        }
        return self._ask("/v1/jobs", idempotency_key, body)

    def retry(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """A new job with the request of one that failed or was cancelled; unfinished stages begin anew."""
        return self._ask(f"{_job(job_id)}:retry", idempotency_key)

    def resume(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """A new job with the request of one that failed or was cancelled; it goes on from what is done."""
        return self._ask(f"{_job(job_id)}:resume", idempotency_key)

    def job(self, job_id: str) -> Job:
        return parse(Job, self._get(_job(job_id)))

    def jobs(
        self, *, ep_id: str | None = None, stage: str | None = None, active: bool = False
    ) -> Iterator[Job]:
        """The newest first."""
        params = {"ep_id": ep_id, "stage": stage, "active": _flag(active) if active else None}
        given = {name: value for name, value in params.items() if value is not None}
        return self._pages(Job, "/v1/jobs", "jobs", given)

    def wait(self, job_id: str, *, timeout_s: float = math.inf) -> Job:
        """The job once it has ended, or as it is after `timeout_s`."""
        give_up_at = monotonic() + timeout_s
        while True:
            left_s = min(max(give_up_at - monotonic(), 0.0), _WAIT_S)
            call = Call(
                "POST", f"{_job(job_id)}:wait", params={"timeout_s": str(left_s)}, answer_within_s=2 * _WAIT_S
            )
            job = parse(Job, self._transport.call(call).json())
            if job.has_ended or monotonic() >= give_up_at:
                return job

    def why(self, job_id: str) -> Why:
        """What a job waits for, or why it ended, and the next step."""
        return parse(Why, self._get(f"{_job(job_id)}/why"))

    def cancel(self, job_id: str, *, if_match: str | None = None) -> Job:
        """The job, cancelled or about to be; one that has ended stays as it is. `if_match`: as it was seen."""
        call = Call("POST", f"{_job(job_id)}:cancel", headers=_if_match(if_match))
        return parse(Job, self._transport.call(call).json())

    def logs(self, job_id: str, *, after_seq: int = 0, quiet: bool = True) -> Iterator[LogLine]:
        """The lines that a job has so far, in order; quietly, without the noisy ones."""
        while True:
            params = {"quiet": _flag(quiet), "after": str(after_seq)}
            lines = parse_each(LogLine, self._get(f"{_job(job_id)}/logs", params), "lines")
            yield from lines
            if not lines:
                return
            after_seq = lines[-1].seq

    def watch(self, job_id: str, *, after_seq: int = 0) -> Iterator[JobEvent]:
        """Events of a job until it has ended, through restarts of the server.

        State changes and log lines come once each, in order of `seq`, those up to `after_seq` left out.
        """
        path = f"{_job(job_id)}/events"
        return iter(JobWatch(self._transport, path, after_seq, lambda: self.job(job_id)))

    def workers(self) -> list[Worker]:
        return parse_each(Worker, self._get("/v1/workers"), "workers")

    def profiles(self) -> Any:
        """The profile table as decoded JSON."""
        return self._get("/v1/profiles")

    def _ask(self, path: str, key: str | None, body: Mapping[str, Any] | None = None) -> Job:
        headers = {"Idempotency-Key": key or uuid4().hex}
        return parse(Job, self._transport.call(Call("POST", path, json=body, headers=headers)).json())

    def _pages(self, cls: type[T], path: str, member: str, params: Mapping[str, str]) -> Iterator[T]:
        token = ""
        while True:
            answer = self._get(path, {**params, "page_token": token} if token else params)
            yield from parse_each(cls, answer, member)
            token = str(answer.get("next_page_token") or "")
            if not token:
                return

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        return self._transport.call(Call("GET", path, params=params)).json()


def _episode(ep_id: str, *rest: str) -> str:
    return "/".join(["/v1/episodes", *(quote(part, safe="") for part in (ep_id, *rest))])


def _job(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _if_match(etag: str | None) -> dict[str, str] | None:
    return None if etag is None else {"If-Match": f'"{etag}"'}


def _flag(value: bool) -> str:
    return "true" if value else "false"
