"""Removes what the broker still holds of a job, and overwrites its bytes.

A purge by subject, or an acknowledgement, only marks messages as gone: their bytes stay in JetStream's block
file until the stream is empty, or until the block is full and none of its messages is left. Deleting a message
by its sequence overwrites it at once. So what is still there is deleted one by one; and for what was
acknowledged before, a stream is watched until it has been seen empty, when JetStream removes the file.
"""

from __future__ import annotations

from collections.abc import Iterable

from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from services.kit import bus

# What JetStream says to the deletion of a message that was acknowledged a moment before: of one before the
# stream's first, and of one within it.
_GONE_MEANWHILE = frozenset({10043, 10057})


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
        except NotFoundError:
            return erased
        assert message.seq is not None
        await _overwrite(js, stream, message.seq)
        sequence = message.seq + 1
    return limit


async def _overwrite(js: JetStreamContext, stream: str, sequence: int) -> None:
    """What was acknowledged in between goes the way of all that was acknowledged before."""
    try:
        await js.delete_msg(stream, sequence)
    except APIError as error:
        if error.err_code not in _GONE_MEANWHILE:
            raise


async def unemptied(js: JetStreamContext, streams: Iterable[str]) -> list[str]:
    """Those of the streams that hold messages now. Raises `nats.errors.Error`."""
    return [name for name in streams if (await js.stream_info(name)).state.messages]
