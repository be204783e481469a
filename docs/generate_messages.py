"""Writes `messages.md` from the bus and the protos: `python docs/generate_messages.py > docs/messages.md`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nats.js.api import ConsumerConfig, DiscardPolicy, RetentionPolicy, StreamConfig

from services.kit import bus
from services.kit.inference.placement import Provider
from services.kit.messages import SCHEMA_VERSION
from services.kit.stages import STAGES
from services.pb.screenalytics.stage.v1 import stage_pb2

_PROTO = Path(__file__).resolve().parents[1] / "protos/screenalytics/stage/v1/stage.proto"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Traffic:
    subject: str
    message: str
    way: str
    kind: str


def traffic() -> list[Traffic]:
    """Every subject with its parameters written as the code would fill them."""
    task = f"{bus.PREFIX}.task.<stage>.<provider>.<job_id>.<task_id>"
    to_us, heartbeat = "worker -> orchestrator", f"core, each {bus.HEARTBEAT_S:.0f} s"
    return [
        Traffic(task, "Task", "relay -> worker", f"stream {bus.TASKS_STREAM}"),
        Traffic(bus.CLAIM, "ClaimRequest, ClaimReply", to_us, "request and reply"),
        Traffic(bus.result_subject("<job_id>"), "TaskResult", to_us, f"stream {bus.RESULTS_STREAM}"),
        Traffic(bus.log_subject("<job_id>"), "LogLine", to_us, f"stream {bus.LOGS_STREAM}"),
        Traffic(bus.progress_subject("<job_id>"), "Progress", "worker -> every replica", "core, may be lost"),
        Traffic(bus.control_subject("<job_id>"), "Control", "orchestrator -> every worker", "core, repeated"),
        Traffic(f"{bus.PREFIX}.worker.<worker_id>", "Heartbeat", to_us, heartbeat),
    ]


def subject_table() -> Iterator[str]:
    yield "| subject | message | from -> to | carried by |\n|---|---|---|---|"
    for one in traffic():
        names = ", ".join(f"[`{name}`](#{name.lower()})" for name in one.message.split(", "))
        yield f"| `{one.subject}` | {names} | {one.way} | {one.kind} |"


def stream_table() -> Iterator[str]:
    yield "| stream | subjects | retention | limits | when full |\n|---|---|---|---|---|"
    for stream in bus.streams():
        subjects = ", ".join(f"`{subject}`" for subject in stream.subjects or [])
        rules = f"{_retention(stream)} | {_limits(stream)} | {_when_full(stream)}"
        yield f"| `{stream.name}` | {subjects} | {rules} |"


def consumer_table() -> Iterator[str]:
    yield "| durable consumer | of | filter | ack wait | deliveries |\n|---|---|---|---|---|"
    for stage in STAGES:
        for provider in Provider:
            yield _consumer(bus.TASKS_STREAM, bus.route_consumer_config(stage, provider))
    for name, stream, subject in (
        (bus.RESULTS_CONSUMER, bus.RESULTS_STREAM, bus.ALL_RESULTS),
        (bus.LOGS_CONSUMER, bus.LOGS_STREAM, bus.ALL_LOGS),
    ):
        yield _consumer(stream, bus.orchestrator_consumer_config(name, subject))


def payload_tables() -> Iterator[str]:
    """In the order of the file, with its comments."""
    comments, about = _comments()
    for name in stage_pb2.DESCRIPTOR.message_types_by_name:
        yield f"\n### {name}\n"
        if about.get(name):
            yield f"{about[name]}\n"
        yield "| field | type | |\n|---|---|---|"
        for number, field, kind in _fields(name):
            yield f"| {number} `{field}` | {kind} | {comments.get((name, field), '')} |"


def _retention(stream: StreamConfig) -> str:
    return "until acknowledged" if stream.retention == RetentionPolicy.WORK_QUEUE else "by limits"


def _limits(stream: StreamConfig) -> str:
    found = []
    if stream.max_msgs_per_subject and stream.max_msgs_per_subject > 0:
        found.append(f"{stream.max_msgs_per_subject} message a subject")
    if stream.max_bytes and stream.max_bytes > 0:
        found.append(f"{stream.max_bytes // _MIB} MiB")
    if stream.max_age:
        found.append(f"{stream.max_age / 3600:.0f} h")
    return ", ".join(found)


def _when_full(stream: StreamConfig) -> str:
    return "refuses the new" if stream.discard == DiscardPolicy.NEW else "drops the oldest"


def _consumer(stream: str, config: ConsumerConfig) -> str:
    name, subject = config.durable_name, config.filter_subject
    deliveries = "without end" if config.max_deliver == -1 else str(config.max_deliver)
    return f"| `{name}` | `{stream}` | `{subject}` | {config.ack_wait:.0f} s | {deliveries} |"


_MESSAGE = re.compile(r"((?:^//[^\n]*\n)*)^message (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (?:(repeated|optional) )?([\w<>, ]+?) (\w+) = (\d+);(?:\s*//\s*(.*))?$", re.MULTILINE)


def _parsed() -> Iterator[tuple[str, str, list[tuple[str, ...]]]]:
    for comment, name, body in _MESSAGE.findall(_PROTO.read_text("utf-8")):
        yield name, " ".join(line.lstrip("/ ") for line in comment.splitlines()), _FIELD.findall(body)


def _comments() -> tuple[dict[tuple[str, str], str], dict[str, str]]:
    """(comment of each field, comment of each message)."""
    fields, messages = {}, {}
    for name, about, found in _parsed():
        messages[name] = about
        fields.update({(name, field): comment for _, _, field, _, comment in found})
    return fields, messages


def _fields(message: str) -> list[tuple[int, str, str]]:
    """(number, name, type) as the descriptor has them. Raises `ValueError` when the file says otherwise."""
    described = {f.name: f.number for f in stage_pb2.DESCRIPTOR.message_types_by_name[message].fields}
    (found,) = [fields for name, _, fields in _parsed() if name == message]
    if {field: int(number) for _, _, field, number, _ in found} != described:
        raise ValueError(f"{_PROTO.name} and its descriptor differ about {message}")
    return [(int(n), field, f"{label} {kind}".strip()) for label, kind, field, n, _ in found]


_HEAD = f"""# Messages

What travels on NATS. Payloads are protobuf, `protos/screenalytics/stage/v1/stage.proto`, schema version
{SCHEMA_VERSION}; subjects, streams and their limits stand in `services/kit/bus.py`. NATS only carries:
everything in a stream can be published again from Postgres. No pixels, embeddings or names of people ever
stand in a message.

## Subjects
"""
_STREAMS = """
## Streams

Made by the orchestrator, and made again when they are gone; written to disk.
"""
_RULES = f"""
## Redelivery

* **At least once, and only once in effect.** A message may come twice, late, or to two workers. What counts
  is decided by guarded updates in Postgres, never by a delivery count of the broker: consumers redeliver
  without end, since a message that JetStream gives up on would stay in the queue and be seen by nobody.
* **A task** has a subject of its own that takes one message. Publishing it again is refused while it is still
  there, which counts as sent; so the relay, a second relay, and the reaper may all publish it.
* **A worker** that holds a task says so every {bus.HEARTBEAT_S:.0f} s while its handler makes progress.
  Without that the task is delivered again after {bus.ACK_WAIT_S:.0f} s. It runs nothing before `{bus.CLAIM}`
  has answered `run`, asks again every {bus.CLAIM_TIMEOUT_S:.0f} s, and hands a task of another schema,
  algorithm or model back with a delay.
* **The task is acknowledged last**: after its result is stored in `{bus.RESULTS_STREAM}`. A worker that dies
  in between makes the task run again; the second result finds the task done and is fenced.
* **A result** is acknowledged after the transaction that applies it. Without Postgres it is handed back and
  waits. The first success of a live task counts, from any attempt; a failure only from the newest; the same
  attempt twice is a duplicate; everything else is fenced and counted.
* **A log line** that comes again is kept once.
* **Progress** may be lost. Within a generation it never falls; an older snapshot changes nothing.
* **Control** is repeated each second until every attempt of the job is closed, so that a worker that was away
  hears it.
"""
_PAYLOADS = """
## Payloads"""


if __name__ == "__main__":
    print(_HEAD)
    print("\n".join(subject_table()))
    print(_STREAMS)
    print("\n".join(stream_table()))
    print()
    print("\n".join(consumer_table()))
    print(_RULES.rstrip())
    print(_PAYLOADS)
    print("\n".join(payload_tables()))
