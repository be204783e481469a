"""How soon a cancelled job's worker has let go: the pipeline on the CPU, cancelled in the middle of detection.

From the moment at which the cancel was committed until the attempt was closed, by PostgreSQL's clock; a closed
attempt frees the worker's slot and can leave no result. The video is the sample episode, or the one given.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from chaos.audit import percentile

from services.cli.sample import write_sample
from services.client import Client
from services.kit.inference.placement import Provider
from services.local import LocalSettings, start_system
from services.local.data_dir import DataDir

_BAR_S = 2.0
_GIVE_UP_S = 120.0
_CLOSED = """
    SELECT extract(epoch FROM max(a.closed_at) - max(j.cancel_requested_at))::float8
    FROM jobs j JOIN attempts a USING (job_id) WHERE j.job_id = %s HAVING bool_and(a.state <> 'open')
"""


def measure(video: Path, home: Path, samples: int) -> list[float]:
    settings = LocalSettings(data_dir=home / "data", device=Provider.CPU, threads=1)
    with start_system(settings) as system, Client(system.state.api_url) as client:
        postgres = system.state.part("postgres")
        password = DataDir(settings.data_dir).secrets().postgres_password
        dsn = f"postgresql://screenalytics:{password}@127.0.0.1:{postgres.port}/postgres"
        ep_id = client.register(video).ep_id
        with psycopg.connect(dsn, autocommit=True) as connection:
            return [_cancelled(client, connection, ep_id) for _ in range(samples)]


def _cancelled(client: Client, connection: psycopg.Connection[tuple[float]], ep_id: str) -> float:
    job_id = client.submit(ep_id, device="cpu", profile="performance", force=True).job_id
    give_up_at = time.monotonic() + _GIVE_UP_S
    while not _is_detecting(client, job_id):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    client.cancel(job_id)
    while (found := connection.execute(_CLOSED, [job_id]).fetchone()) is None:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    return found[0]


def _is_detecting(client: Client, job_id: str) -> bool:
    progress = client.job(job_id).stages[0].progress
    return progress is not None and progress.phase == "detect" and progress.done > 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="one line (it is always one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="screenalytics-cancel-") as folder:
        home = Path(folder)
        video = options.video
        if video is None:
            video = home / "sample.mp4"
            write_sample(video)
        waits = measure(video, home, options.samples)
    figures = {"samples": len(waits), "bar_s": _BAR_S, "worst_s": max(waits)}
    print(json.dumps(figures | {f"p{p}_s": percentile(waits, p / 100) for p in (50, 99)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
