"""What one episode costs the servers: rows, WAL, messages, files and CPU-seconds, counted on a real run.

The whole system works on a video on the CPU. An ear on the broker counts every message by its kind, one that
is stored in a stream once more when it is delivered; Postgres is asked for its rows, its write transactions
and its log position. What the idle system does, such as heartbeats, is measured before and told apart. Counts
hardly depend on how busy the machine is; CPU-seconds do a little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import nats
import psycopg
from nats.aio.msg import Msg
from psycopg.rows import dict_row

from services.client import Client
from services.kit.inference.placement import Provider
from services.local import LocalSettings, SystemHandle, start_system
from services.local.data_dir import DataDir
from services.local.nats import EmbeddedNats
from services.local.postgres import EmbeddedPostgres

Figures = dict[str, Any]

_TABLES = ("jobs", "stage_runs", "tasks", "attempts", "artifacts", "job_events", "outbox")
_CPU = """
SELECT stage, sum((execution ->> 'cpu_seconds')::float) AS cpu_s,
       sum((execution ->> 'wall_seconds')::float) AS wall_s
FROM stage_runs, jsonb_array_elements(executions) AS execution GROUP BY stage ORDER BY min(position)
"""
_INPUTS = """
SELECT sum(jsonb_array_length(coalesce(message -> 'inputs', '[]')))
     + count(*) FILTER (WHERE kind IN ('plan', 'segment')) AS gets
FROM tasks
"""
_FILES = """
SELECT kind, count(*) AS files, sum(size_bytes)::bigint AS bytes FROM artifacts GROUP BY kind ORDER BY kind
"""
_POSITION = (
    "SELECT pg_current_xact_id()::text::bigint AS writes, pg_current_wal_insert_lsn() - '0/0' AS wal_bytes"
)


@dataclass
class Ear:
    """Messages and bytes of payload, by kind of subject."""

    messages: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    async def hear(self, message: Msg) -> None:
        words = message.subject.split(".")
        kind = words[0] if words[0] == "_INBOX" else ".".join(words[:2])
        self.messages[kind] += 1
        self.bytes[kind] += len(message.data) + len(message.subject)

    def taken(self) -> dict[str, tuple[int, int]]:
        """(messages, bytes) by kind, from now on counted anew."""
        found = {kind: (count, self.bytes[kind]) for kind, count in sorted(self.messages.items())}
        self.messages.clear()
        self.bytes.clear()
        return found


@asynccontextmanager
async def heard(system: SystemHandle) -> AsyncIterator[Ear]:
    directory, ear = DataDir(system.settings.data_dir), Ear()
    url = EmbeddedNats(directory.nats, _port(system, "nats"), 0, directory.secrets().nats_password).url
    nc = await nats.connect(url)
    try:
        await nc.subscribe(">", cb=ear.hear)
        await nc.flush()
        yield ear
    finally:
        await nc.close()


def _port(system: SystemHandle, part: str) -> int:
    (port,) = [one.port for one in system.state.parts if one.name == part]
    assert port is not None
    return port


def _connected(system: SystemHandle) -> psycopg.Connection[Figures]:
    directory = DataDir(system.settings.data_dir)
    password = directory.secrets().postgres_password
    dsn = EmbeddedPostgres(directory.postgres, _port(system, "postgres"), password).dsn
    return psycopg.connect(dsn, autocommit=True, row_factory=dict_row)


def _asked(connection: psycopg.Connection[Figures], sql: str) -> list[Figures]:
    return connection.execute(sql.encode()).fetchall()


def _work(system: SystemHandle, options: argparse.Namespace) -> float:
    """Seconds that the job took."""
    overrides = {} if options.segment_s is None else {"segment_s": options.segment_s}
    asked = {"ep_id": "bench", "device": "cpu", "profile": options.profile, "overrides": overrides}
    with Client(system.state.api_url) as client:
        client.register(options.video, ep_id="bench")
        began = time.monotonic()
        answer = httpx.post(f"{client.base_url}/v1/jobs", json=asked, trust_env=False, timeout=30)
        answer.raise_for_status()
        job_id = answer.json()["job_id"]
        for _ in client.watch(job_id):
            pass  # until it has ended
        assert client.job(job_id).state == "succeeded"
    return time.monotonic() - began


async def measure(system: SystemHandle, options: argparse.Namespace) -> Figures:
    async with heard(system) as ear:
        with _connected(system) as postgres:
            before = _asked(postgres, _POSITION)[0]
            await asyncio.sleep(options.idle_s)
            idle, idle_heard = _asked(postgres, _POSITION)[0], ear.taken()
            wall_s = await asyncio.to_thread(_work, system, options)
            await asyncio.sleep(1)  # what is still under way, such as the marker
            after, job_heard = _asked(postgres, _POSITION)[0], ear.taken()
            info = _asked(postgres, "SELECT media_info FROM episodes")[0]["media_info"]
            return {
                "video": {"name": options.video.name, "minutes": round(info["duration_s"] / 60, 3)},
                "profile": options.profile,
                "job_wall_s": round(wall_s, 1),
                "idle_per_s": {
                    "writes": round((idle["writes"] - before["writes"]) / options.idle_s, 2),
                    "wal_bytes": round(float(idle["wal_bytes"] - before["wal_bytes"]) / options.idle_s),
                    "messages": {k: round(n / options.idle_s, 2) for k, (n, _) in idle_heard.items()},
                },
                "postgres": {
                    "writes": after["writes"] - idle["writes"],
                    "wal_bytes": int(after["wal_bytes"] - idle["wal_bytes"]),
                    "rows": {t: _asked(postgres, f"SELECT count(*) AS n FROM {t}")[0]["n"] for t in _TABLES},
                },
                "messages": {kind: {"count": n, "bytes": size} for kind, (n, size) in job_heard.items()},
                "store": {
                    "files": {row.pop("kind"): row for row in _asked(postgres, _FILES)},
                    "gets": int(_asked(postgres, _INPUTS)[0]["gets"]),
                },
                "stages": {
                    row["stage"]: {"cpu_s": round(row["cpu_s"], 2), "wall_s": round(row["wall_s"], 2)}
                    for row in _asked(postgres, _CPU)
                },
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--profile", default="balanced")
    parser.add_argument("--segment-s", type=float, help="length of a segment, else the profile's")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--idle-s", type=float, default=20.0)
    parser.add_argument("--json", action="store_true", help="accepted for symmetry; output is always JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="screenalytics-costs-") as folder:
        settings = LocalSettings(data_dir=Path(folder), device=Provider.CPU, threads=options.threads)
        with start_system(settings) as system:
            print(json.dumps(asyncio.run(measure(system, options))))


if __name__ == "__main__":
    main()
