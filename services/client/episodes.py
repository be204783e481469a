"""Episodes: their videos, what was found in them, files of the older system, and their end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO
from urllib.parse import quote

from services.client.calls import Calls, flag, if_match_header
from services.client.errors import UnexpectedAnswer
from services.client.parsing import parse, parse_each
from services.client.records import (
    Artifact,
    Episode,
    EpisodeStatus,
    Erasure,
    Identity,
    ImportedFile,
    TrashedEpisode,
)
from services.client.transport import Call, OnSent
from services.client.uploads import ResumableUpload

# Registering reads the whole video once more on the server, to know its digest, before it answers.
_REGISTER_WITHIN_S = 900.0
_RESUMABLE_FROM_BYTES = 64 << 20
# A server that fetches a video bounds that by a setting of its own.
_FETCH_WITHIN_S = 4 * 3600.0


class EpisodeCalls(Calls):
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
        params = {"filename": name, "replace": flag(replace)} | ({"ep_id": ep_id} if ep_id else {})
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
        return parse(Episode, self._get(_path(ep_id)))

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
        call = Call("PATCH", _path(ep_id), json=given, headers=if_match_header(if_match))
        return parse(Episode, self._transport.call(call).json())

    def episode_status(self, ep_id: str) -> EpisodeStatus:
        return parse(EpisodeStatus, self._get(_path(ep_id, "status")))

    def identities(self, ep_id: str) -> list[Identity]:
        return parse_each(Identity, self._get(_path(ep_id, "identities")), "identities")

    def artifacts(self, ep_id: str) -> list[Artifact]:
        return parse_each(Artifact, self._get(_path(ep_id, "artifacts")), "artifacts")

    def export_names(self, ep_id: str, fmt: str) -> list[str]:
        """Names of the files that make up the export in `fmt`, `jsonl` or `csv`."""
        answer = self._get(_path(ep_id, "exports"), {"format": fmt})
        if not isinstance(answer, dict) or not isinstance(answer.get("files"), list):
            raise UnexpectedAnswer("the answer has no list 'files'")
        return [str(name) for name in answer["files"]]

    def download_export(self, ep_id: str, name: str, target: IO[bytes]) -> None:
        """Write one file of an export to `target`, from its start; a lost connection starts it anew."""
        self._transport.download(Call("GET", _path(ep_id, "exports", *name.split("/"))), target)

    def import_file(
        self, ep_id: str, name: str, file: Path, *, modified_at: datetime, run_id: str = ""
    ) -> ImportedFile:
        """Register a file of the older system, such as `faces.jsonl`, under its episode.

        Raises `OSError` for an unreadable file, `ApiError` (`damaged-file`) for one that cannot be imported.
        """
        params = {"modified_at": modified_at.isoformat()} | ({"run_id": run_id} if run_id else {})
        headers = {"Content-Type": "application/octet-stream"}
        path = _path(ep_id, "imports", name)
        call = Call("PUT", path, params=params, body=file, headers=headers, answer_within_s=_REGISTER_WITHIN_S)
        return parse(ImportedFile, self._transport.call(call).json())

    def imported_files(self, ep_id: str) -> list[ImportedFile]:
        return parse_each(ImportedFile, self._get(_path(ep_id, "imports")), "files")

    def erase(self, ep_id: str) -> Erasure:
        """Erase everything of an episode, for good. The receipt is done when nothing more can turn up."""
        return parse(Erasure, self._transport.call(Call("DELETE", _path(ep_id))).json())

    def erasure(self, erasure_id: str) -> Erasure:
        return parse(Erasure, self._get(f"/v1/erasures/{quote(erasure_id, safe='')}"))

    def trash(self, ep_id: str) -> TrashedEpisode:
        """Hide an episode and cancel its jobs; it is erased once its time in the trash is over."""
        return parse(TrashedEpisode, self._transport.call(Call("POST", f"{_path(ep_id)}:trash")).json())

    def restore(self, ep_id: str) -> Episode:
        return parse(Episode, self._transport.call(Call("POST", f"{_path(ep_id)}:restore")).json())


def _path(ep_id: str, *rest: str) -> str:
    return "/".join(["/v1/episodes", *(quote(part, safe="") for part in (ep_id, *rest))])
