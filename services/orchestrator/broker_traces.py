"""Removes what the broker still holds of a job, and overwrites its bytes.

A purge by subject, or an acknowledgement, only marks messages as gone: their bytes stay in JetStream's block
file until the stream is empty, or until the block is full and none of its messages is left. Deleting a message
by its sequence overwrites it at once. So what is still there is deleted one by one; and for what was
acknowledged before, a stream is watched until it has been seen empty, when JetStream removes the file.
"""

from __future__ import annotations

from collections.abc import Iterable

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from services.kit import bus


async def erase_messages(js: JetStreamContext, job_id: str, *, limit: int) -> int:
    """The number of messages of the job that were overwritten, at most `limit` of a stream.

    Raises `nats.errors.Error`.
    """
    places = (
        (bus.TASKS_STREAM, bus.tasks_of_job(job_id)),
        (bus.RESULTS_STREAM, bus.result_subject(job_id)),
        (bus.LOGS_STREAM, bus.log_subject(job_id)),
    )
    return sum([await _erase_subject(js, stream, subject, limit) for stream, subject in places])


async def _erase_subject(js: JetStreamContext, stream: str, subject: str, limit: int) -> int:
    sequence = 1
    for erased in range(limit):
        try:
            message = await js.get_msg(stream, seq=sequence, subject=subject, next=True)
            assert message.seq is not None
            sequence = message.seq + 1
            await js.delete_msg(stream, message.seq)
        except NotFoundError:
            return erased
    return limit


async def unemptied(js: JetStreamContext, streams: Iterable[str]) -> list[str]:
    """Those of the streams that hold messages now. Raises `nats.errors.Error`."""
    return [name for name in streams if (await js.stream_info(name)).state.messages]
