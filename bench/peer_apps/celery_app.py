"""The task in Celery on Redis: acknowledged late, as ours is, and prefetched one by one."""

from __future__ import annotations

import os
from typing import Any

import celery

from peer_apps import note


def make_app(url: str) -> Any:
    made = celery.Celery("peers", broker=url)
    made.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, task_ignore_result=True)
    made.task(name="note")(note)
    return made


app = make_app(os.environ.get("PEER_REDIS", "redis://"))
