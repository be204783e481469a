"""Engines with one safeguard taken out, to show that what the storm looks at would notice.

Each is made by replacing queries or a method in the child process; the product has no switch for any.
"""

from __future__ import annotations

import asyncio
from typing import Any

from services.kit.messages import TaskResult
from services.kit.worker import Worker
from services.orchestrator import results, sql
from services.orchestrator.database import Transaction
from services.orchestrator.outbox import OutboxRelay, publish_once
from services.orchestrator.results import ResultConsumer

_RACE_S = 0.3
NAMES = ("no-guard", "early-ack", "no-outbox", "no-lock")

# Any success counts, whatever has become of its task, and the last one's files stay.
_UNGUARDED_FINISH = """
UPDATE tasks SET state = 'done', finished_at = now(), counts = %(counts)s
WHERE %(is_success)s AND task_id = %(task_id)s AND %(attempt_id)s::text IS NOT NULL
RETURNING task_id
"""
_LAST_WINS = " ON CONFLICT (task_id, kind) DO UPDATE SET attempt_id = excluded.attempt_id, uri = excluded.uri"
_LOCKS = ("lock_job", "lock_run", "lock_job_of_task", "lock_run_of_task")


def put_on_orchestrator(name: str) -> None:
    queries: Any = sql.queries()  # cached: one dictionary for the whole process
    if name == "no-guard":
        queries["finish_task_if_live"] = _UNGUARDED_FINISH
        queries["insert_artifact"] = queries["insert_artifact"].rstrip(";") + _LAST_WINS
    elif name == "no-lock":
        for query in _LOCKS:
            queries[query] = queries[query].replace("FOR UPDATE OF j", "").replace("FOR UPDATE", "")
        _give_the_race_time()
    elif name == "no-outbox":
        queries["insert_task"] = queries["insert_task"].replace("INSERT INTO outbox (subject, payload)", "")
        _write_twice()


def put_on_worker(name: str) -> None:
    if name == "early-ack":
        _acknowledge_first()


def _acknowledge_first() -> None:
    """The task is let go of before its result is stored."""
    take = Worker._take

    async def acknowledged_first(self: Worker, delivery: Any, stop: asyncio.Event) -> None:
        await delivery.message.ack()
        await take(self, delivery, stop)

    Worker._take = acknowledged_first  # type: ignore[method-assign]


def _give_the_race_time() -> None:
    """Between what the result of a segment has seen and what it writes; and results are judged side by side.

    Under the locks both are harmless.
    """
    look, consume = results._look, ResultConsumer._consume
    judging: set[asyncio.Task[None]] = set()

    async def slowly(tx: Transaction, result: TaskResult) -> Any:
        seen = await look(tx, result)
        if seen is not None and seen.task["kind"] == "segment":
            await asyncio.sleep(_RACE_S)
        return seen

    async def beside(self: ResultConsumer, message: Any) -> None:
        judged = asyncio.create_task(consume(self, message))
        judging.add(judged)
        judged.add_done_callback(judging.discard)

    results._look = slowly
    ResultConsumer._consume = beside  # type: ignore[method-assign]


def _write_twice() -> None:
    """A task is published beside the transaction that makes it, as two writes of which either may fail."""
    relays: list[OutboxRelay] = []
    sending: set[asyncio.Task[bool]] = set()
    start, run = OutboxRelay.run, Transaction.run

    async def remembered(self: OutboxRelay) -> None:
        relays.append(self)
        await start(self)

    async def published(self: Transaction, name: str, **parameters: Any) -> None:
        if name != "put_outbox":
            await run(self, name, **parameters)
        if name in ("insert_task", "put_outbox") and relays:
            sent = asyncio.create_task(
                publish_once(relays[0]._js, parameters["subject"], bytes(parameters["payload"]))
            )
            sending.add(sent)
            sent.add_done_callback(sending.discard)

    OutboxRelay.run = remembered  # type: ignore[method-assign]
    Transaction.run = published  # type: ignore[method-assign]
