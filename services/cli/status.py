"""`screenalytics status`: of the system, or of one episode."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.cli.execution import open_kept, settle
from services.cli.local_system import running_system
from services.cli.options import SystemOptions
from services.cli.outcome import reported
from services.cli.remote import remote_client
from services.cli.run_result import FOUND_BY
from services.cli.screen import Screen
from services.cli.session import cpu_notice, data_dir_of
from services.cli.tables import models_table, phases_table, processes_table
from services.client import Client, EpisodeStatus, Worker
from services.kit.errors import SystemUnavailable
from services.local import SystemState

_RETRY_FOR_S = 3.0


def show_system(options: SystemOptions, *, as_json: bool) -> None:
    """Raises `typer.Exit` when no system runs."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        options = settle(options, screen, may_fall_back=False)
        state = None if options.api else _require_running(data_dir_of(options))
        api_url = state.api_url if state else options.api or ""
        open_client = remote_client if state is None else Client
        with open_client(api_url, retry_for_s=_RETRY_FOR_S) as client:
            workers = client.workers()
        _print_system(screen, api_url, state, workers)
        screen.json_line(_system_record(api_url, state, workers))


def show_episode(ep_id: str, options: SystemOptions, *, as_json: bool) -> None:
    """Raises `typer.Exit` when it cannot be told."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        with open_kept(options, screen, ep_id=ep_id) as session:
            status = session.steadily(lambda client: client.episode_status(ep_id))
        screen.table(phases_table(status))
        for remark in _remarks(status):
            screen.result(remark)
        screen.json_line(asdict(status))


def _require_running(data_dir: Path) -> SystemState:
    """Raises `SystemUnavailable`."""
    state = running_system(data_dir)
    if state is None:
        raise SystemUnavailable(f"no system runs on {data_dir}", hint="start one with: screenalytics up")
    return state


def _print_system(screen: Screen, api_url: str, state: SystemState | None, workers: list[Worker]) -> None:
    screen.result(f"API: {api_url}")
    if state is not None:
        screen.result(f"gRPC: {state.grpc_address}")
        screen.table(processes_table(state.parts))
    screen.table(models_table(workers))
    if state is not None and (notice := cpu_notice(workers)):
        screen.warn(notice)


def _system_record(api_url: str, state: SystemState | None, workers: list[Worker]) -> dict[str, Any]:
    return {
        "api_url": api_url,
        "grpc_address": state.grpc_address if state else None,
        "data_dir": state.data_dir if state else None,
        "processes": [asdict(part) for part in state.parts] if state else [],
        "workers": [asdict(worker) for worker in workers],
    }


def _remarks(status: EpisodeStatus) -> list[str]:
    remarks = {
        "faces are out of date: run again from faces_embed": status.faces_stale,
        "identities are out of date: run again from cluster": status.cluster_stale and not status.faces_stale,
        "there are tracks and no identities": status.tracks_only_fallback,
    }
    empty = [phase.phase for phase in status.phases.values() if phase.zero_rows]
    return [f"no {FOUND_BY[name]} were found" for name in empty if name in FOUND_BY] + [
        remark for remark, holds in remarks.items() if holds
    ]
