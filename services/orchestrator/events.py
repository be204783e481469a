"""State changes and log lines of a job, numbered by its `seq` under its row lock."""

from __future__ import annotations

from typing import Any

from services.orchestrator.database import Transaction


async def append_event(
    tx: Transaction,
    job_id: str,
    kind: str,
    payload: dict[str, Any],
    *,
    stage: str | None = None,
    source_key: str | None = None,
) -> None:
    """An event with a `source_key` that the job already has is dropped, and takes no number."""
    if source_key is not None:
        await tx.run("lock_job", job_id=job_id)  # whoever brings the same line must see it before it looks
    await tx.run(
        "append_event",
        job_id=job_id,
        type=kind,
        stage=stage,
        payload=payload,
        source_key=source_key,
    )
