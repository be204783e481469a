"""Every subject, stream and consumer on NATS, with its limits; and how a process connects.

The orchestrator makes streams and consumers; workers only use them. Postgres is the truth: everything that
stands in a stream can be published again from there.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from services.kit.errors import SystemUnavailable
from services.kit.messages import Task

log = logging.getLogger(__name__)

PREFIX = "screenalytics"
CLAIM = f"{PREFIX}.claim"
CLAIM_GROUP = "orchestrators"
ALL_RESULTS = f"{PREFIX}.result.*"
ALL_LOGS = f"{PREFIX}.log.*"
ALL_PROGRESS = f"{PREFIX}.progress.*"
ALL_HEARTBEATS = f"{PREFIX}.worker.*"
ALL_CONTROL = f"{PREFIX}.control.*"

TASKS_STREAM = "TASKS"
RESULTS_STREAM = "RESULTS"
LOGS_STREAM = "LOGS"
RESULTS_CONSUMER = "orchestrator-results"
LOGS_CONSUMER = "orchestrator-logs"

ACK_WAIT_S = 20.0
HEARTBEAT_S = 5.0
WORKER_EXPIRY_S = 3 * HEARTBEAT_S
CLAIM_TIMEOUT_S = 5.0
_FIRST_CONNECTION_WITHIN_S = 5.0
RESULTS_MAX_BYTES = 256 << 20
LOGS_MAX_BYTES = 256 << 20
LOGS_MAX_AGE = timedelta(hours=24)
# JetStream's answer to a second message on a subject of a stream that keeps one per subject.
MAX_MSGS_PER_SUBJECT_ERROR = 10077


def task_subject(task: Task) -> str:
    return f"{PREFIX}.task.{task.stage}.{task.provider}.{task.job_id}.{task.task_id}"


def task_subject_template(stage: str, provider: str) -> str:
    return f"{PREFIX}.task.{stage}.{provider}.{{job_id}}.{{task_id}}"


def tasks_of_route(stage: str, provider: str) -> str:
    return f"{PREFIX}.task.{stage}.{provider}.>"


def tasks_of_job(job_id: str) -> str:
    return f"{PREFIX}.task.*.*.{job_id}.>"


def result_subject(job_id: str) -> str:
    return f"{PREFIX}.result.{job_id}"


def log_subject(job_id: str) -> str:
    return f"{PREFIX}.log.{job_id}"


def progress_subject(job_id: str) -> str:
    return f"{PREFIX}.progress.{job_id}"


def control_subject(job_id: str) -> str:
    return f"{PREFIX}.control.{job_id}"


def worker_subject(worker_id: str) -> str:
    return f"{PREFIX}.worker.{re.sub(r'[^A-Za-z0-9_-]', '_', worker_id)}"


def route_consumer(stage: str, provider: str) -> str:
    return f"{stage}-{provider}"


def streams() -> list[StreamConfig]:
    return [
        StreamConfig(
            name=TASKS_STREAM,
            subjects=[f"{PREFIX}.task.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            max_msgs_per_subject=1,
            discard=DiscardPolicy.NEW,
            discard_new_per_subject=True,
        ),
        StreamConfig(
            name=RESULTS_STREAM,
            subjects=[ALL_RESULTS],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            max_bytes=RESULTS_MAX_BYTES,
            discard=DiscardPolicy.NEW,
        ),
        StreamConfig(
            name=LOGS_STREAM,
            subjects=[ALL_LOGS],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_bytes=LOGS_MAX_BYTES,
            max_age=LOGS_MAX_AGE.total_seconds(),
            discard=DiscardPolicy.OLD,
        ),
    ]


def route_consumer_config(stage: str, provider: str) -> ConsumerConfig:
    """`max_deliver` is unlimited: attempts are counted in Postgres, and a message that JetStream gives up on
    would stay in the work queue for ever without being seen as lag."""
    return ConsumerConfig(
        durable_name=route_consumer(stage, provider),
        filter_subject=tasks_of_route(stage, provider),
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_deliver=-1,
        max_ack_pending=10_000,
    )


def orchestrator_consumer_config(name: str, subject: str) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=name,
        filter_subject=subject,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_deliver=-1,
        max_ack_pending=1_000,
    )


async def connect(url: str, *, name: str, on_reconnect: Callable[[], Awaitable[None]] | None = None) -> Client:
    """A connection that reconnects for ever, once it was made. Raises `SystemUnavailable` when it cannot be."""

    async def on_error(error: Exception) -> None:
        log.debug("nats: %s", error or type(error).__name__)

    async def on_disconnect() -> None:
        log.info("nats: connection lost, reconnecting")

    async def on_reconnected() -> None:
        log.info("nats: connected again")
        if on_reconnect is not None:
            await on_reconnect()

    try:
        # The client itself would go on for ever with the first connection too.
        async with asyncio.timeout(_FIRST_CONNECTION_WITHIN_S):
            return await nats.connect(
                url,
                name=name,
                error_cb=on_error,
                disconnected_cb=on_disconnect,
                reconnected_cb=on_reconnected,
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.25,
                connect_timeout=5,
                ping_interval=10,
                max_outstanding_pings=2,
            )
    except (NatsError, OSError) as error:
        raise SystemUnavailable(f"NATS does not answer at {url}: {str(error) or 'no connection'}") from error
