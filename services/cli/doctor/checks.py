"""The checks of doctor beside those of the models: threads, FFmpeg, and the servers that are configured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import av
import cv2
import psycopg
import pyarrow
from threadpoolctl import threadpool_info

from services.detector.ffmpeg_floor import floor_fault
from services.kit.bus_connection import connect
from services.kit.errors import InvalidSettings, ScreenalyticsError, SystemUnavailable
from services.kit.inference.start_check import Finding, Verdict
from services.kit.inference.triton import TritonClient, TritonOptions
from services.kit.object_store import ObjectStore
from services.kit.threads import available_cores, cgroup_cores, process_threads

_ANSWER_WITHIN_S = 5
# Nothing is ever stored by this name: asking for it is the lightest way to reach a store.
_NO_SUCH_KEY = "doctor/no-such-object"


def threads(cap: int) -> Finding:
    """Every pool of the libraries in this process against the cap."""
    pools = {f"{pool['internal_api']} {pool['prefix']}": int(pool["num_threads"]) for pool in threadpool_info()}
    pools |= {"opencv": cv2.getNumThreads(), "arrow": pyarrow.cpu_count()}
    facts = {
        "cap": cap,
        "cores": available_cores(),
        "cgroup_cores": cgroup_cores(),
        "threads": process_threads(),
        "pools": pools,
    }
    quota = f", of which the cgroup grants {facts['cgroup_cores']:g}" if facts["cgroup_cores"] else ""
    detail = f"cap {cap} of {facts['cores']} cores{quota}; {facts['threads']} threads in this process"
    if above := {name: count for name, count in pools.items() if count > cap}:
        found = ", ".join(f"{name} {count}" for name, count in above.items())
        return Finding("threads", Verdict.FAILED, f"{detail}; above the cap: {found}", facts)
    return Finding("threads", Verdict.OK, detail, facts)


def ffmpeg() -> Finding:
    version = str(av.ffmpeg_version_info)
    if (fault := floor_fault(version)) is not None:
        return Finding.failed("ffmpeg", InvalidSettings(fault))
    return Finding("ffmpeg", Verdict.OK, f"FFmpeg {version}", {"version": version})


def postgres(dsn: str) -> Finding:
    def ask() -> str:
        try:
            with psycopg.connect(dsn, connect_timeout=_ANSWER_WITHIN_S) as connection:
                return f"PostgreSQL {connection.info.server_version // 10_000} answers"
        except psycopg.Error as error:
            raise SystemUnavailable(f"PostgreSQL does not answer: {str(error).strip()}") from error

    return _reached("postgres", dsn, "SCREENALYTICS_POSTGRES__DSN", ask)


def nats(url: str) -> Finding:
    async def ask() -> str:
        nc = await connect(url, name="doctor")
        try:
            return f"NATS {nc.connected_server_version} answers"
        finally:
            await nc.close()

    return _reached("nats", url, "SCREENALYTICS_NATS__URL", lambda: asyncio.run(ask()))


def store(url: str, options: dict[str, str]) -> Finding:
    def ask() -> str:
        ObjectStore(url, options=options).exists(_NO_SUCH_KEY)
        return f"{url} answers"

    return _reached("store", url, "SCREENALYTICS_STORE__URL", ask)


def triton(url: str) -> Finding:
    def ask() -> str:
        client = TritonClient(TritonOptions(url, deadline_s=_ANSWER_WITHIN_S, retry_for_s=0))
        try:
            return f"{client.server_name('doctor')} answers"
        finally:
            client.close()

    return _reached("triton", url, "SCREENALYTICS_TRITON__URL", ask)


def _reached(check: str, address: str, setting: str, ask: Callable[[], Any]) -> Finding:
    if not address:
        return Finding(check, Verdict.SKIPPED, f"{setting} is not set")
    try:
        return Finding(check, Verdict.OK, str(ask()))
    except ScreenalyticsError as error:
        return Finding.failed(check, error)
