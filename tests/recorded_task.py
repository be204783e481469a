"""One real task, from submit to marker, as a page tells it: its messages with what differs each time taken out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.kit.codec import decode, to_dict
from services.kit.messages import ClaimReply, ClaimRequest, LogLine, Progress, Task, TaskResult

BEGIN = "<!-- recorded: begin -->"
END = "<!-- recorded: end -->"
_SHOWN_ITEMS = 2

# What an installation, its models or its clock decide, by the name of its field.
_VOLATILE = {
    "sha256": "<sha256>", "fingerprint": "<sha256>", "size_bytes": "<bytes>", "rows": "<n>", "worker_id": "<worker>",
    "cpu_seconds": "<seconds>", "wall_seconds": "<seconds>", "runtime": "<runtime>", "thread_cap": "<n>",
    "threads": "<n>", "licence": "<licence>", "model": "<model>", "name": "<model>", "embedder": "<model>",
    "similarity": "<model>", "done": "<n>", "total": "<n>", "duration_s": "<seconds>", "seq": "<seq>",
    "submitted_by": "<user agent>", "frames": "<n>",
}  # fmt: skip
_NUMBERED = frozenset({"counts", "nodes"})
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)$")
_ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


@dataclass(frozen=True)
class Heard:
    """A message as it passed: its subject, where a reply is wanted, and what it holds."""

    subject: str
    reply: str
    data: bytes


@dataclass(frozen=True)
class RecordedTask:
    """Everything that was said about one job of one task."""

    request: Mapping[str, Any]
    answer: Mapping[str, Any]
    heard: list[Heard]
    states: list[str]
    marker: Mapping[str, Any]

    def page(self) -> str:
        """Markdown, the same for every run of the same release."""
        result_counts = decode(TaskResult, self._one("screenalytics.result.").data).counts
        plain = _Plain(self._names(), frozenset(result_counts))
        task_heard = self._one("screenalytics.task.")
        claims = [h for h in self.heard if h.subject == "screenalytics.claim" and self._is_ours(h)]
        claim, reply = next((c, h) for c in claims for h in self.heard if h.subject == c.reply)
        result = self._one("screenalytics.result.")
        steps = [
            ("`POST /v1/jobs` is asked:", self.request),
            ("and answers 202; the transaction behind it has written job, stage run, task and outbox row:",
             _picked(self.answer, "job_id", "ep_id", "kind", "profile", "requested_device", "warnings")),
            (f"The relay publishes the outbox row as `Task` on `{plain.text(task_heard.subject)}`:",
             to_dict(decode(Task, task_heard.data))),
            ("A worker fetches it and sends `ClaimRequest` on `screenalytics.claim`:",
             to_dict(decode(ClaimRequest, claim.data))),
            ("and is answered by `ClaimReply`; job and stage run are running from here on:",
             to_dict(decode(ClaimReply, reply.data))),
            (f"While it works it sends `Progress` on `{plain.text(self._one('screenalytics.progress.').subject)}`:",
             to_dict(decode(Progress, self._one("screenalytics.progress.").data))),
            (f"and `LogLine` on `{plain.text(self._one('screenalytics.log.').subject)}`:",
             to_dict(decode(LogLine, self._one("screenalytics.log.").data))),
            (f"It stores its files, and then `TaskResult` on `{plain.text(result.subject)}`; only then it "
             "acknowledges the task:", to_dict(decode(TaskResult, result.data))),
            ("The result is accepted. `GET /v1/jobs/<job_id>/events` has told of each move:", self.states),
            ("Last, `<episode_uid>/runs/cluster.json`, the marker, is written from Postgres:", self.marker),
        ]  # fmt: skip
        return "\n".join(
            f"**{number}.** {words}\n\n{_block(plain.value(content))}\n"
            for number, (words, content) in enumerate(steps, 1)
        )

    def _names(self) -> dict[str, str]:
        """Ids of this run by the names that stand for them."""
        task = to_dict(decode(Task, self._one("screenalytics.task.").data))
        result = to_dict(decode(TaskResult, self._one("screenalytics.result.").data))
        ids = {name: task[name] for name in ("job_id", "run_id", "task_id", "episode_uid")}
        return {value: f"<{name}>" for name, value in (ids | {"attempt_id": result["attempt_id"]}).items()}

    def _is_ours(self, claim: Heard) -> bool:
        task = decode(Task, self._one("screenalytics.task.").data)
        return decode(ClaimRequest, claim.data).task_id == task.task_id

    def _one(self, prefix: str) -> Heard:
        """The first message of this job below a subject."""
        job_id = str(self.answer["job_id"])
        return next(h for h in self.heard if h.subject.startswith(prefix) and job_id in h.subject)


@dataclass(frozen=True)
class _Plain:
    """`names` stand for ids; `counted` are the fields that hold what was found."""

    names: Mapping[str, str]
    counted: frozenset[str]

    def value(self, value: Any, field: str = "") -> Any:
        if isinstance(value, Mapping):
            if field in _NUMBERED:
                return dict.fromkeys(sorted(value), "<n>")
            return {k: self.value(v, k) for k, v in value.items() if v not in ("", [], (), {}, None)}
        if isinstance(value, list | tuple):
            kept = value[:_SHOWN_ITEMS] if field in ("inputs", "outputs") else value
            more = [f"... {len(value) - len(kept)} more"] if len(kept) < len(value) else []
            return [self.value(item, field) for item in kept] + more
        if field in self.counted:
            return "<n>"
        if field in _VOLATILE and not isinstance(value, bool):
            return _VOLATILE[field]
        return self.text(value, field) if isinstance(value, str) else value

    def text(self, text: str, field: str = "") -> str:
        if _TIME.match(text):
            return "<time>"
        if field == "config_json":
            return json.dumps(self.value(json.loads(text)), separators=(",", ":"))
        for value, name in self.names.items():
            text = text.replace(value, name)
        text = _ULID.sub("<another attempt_id>", text)
        return re.sub(r"\d+(\.\d+)?", "<n>", text) if field == "message" else text


def recorded_part(page: Path) -> str:
    """What stands in a page between the two marks."""
    return page.read_text("utf-8").split(BEGIN)[1].split(END)[0].strip("\n")


def write_recorded_part(page: Path, part: str) -> None:
    before, rest = page.read_text("utf-8").split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{part.strip()}\n\n{END}{rest.split(END)[1]}", "utf-8")


def _picked(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value[name] for name in names}


def _block(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"
