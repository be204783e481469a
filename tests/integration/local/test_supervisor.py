"""The supervisor over real processes."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.kit.errors import ModelUnusable, PortInUse, SystemUnavailable
from services.local.ports import LOOPBACK, choose_ports
from services.local.state import PartState


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


async def test_parts_start_tier_by_tier_and_stop_in_reverse(supervised: Any, standin: Any) -> None:
    async with supervised([[standin("first")], [standin("second")]]) as watched:
        await watched.all_started()
        watched.stop.set()
        await watched.ended()
    story = [(s.name, s.state) for s in watched.history if s.state in (PartState.READY, PartState.STOPPED)]
    told_once = list(dict.fromkeys(story))
    assert told_once == [
        ("first", PartState.READY),
        ("second", PartState.READY),
        ("second", PartState.STOPPED),
        ("first", PartState.STOPPED),
    ]
    begun_second = next(i for i, s in enumerate(watched.history) if s.name == "second")
    assert (watched.history[begun_second - 1].name, watched.history[begun_second - 1].state) == told_once[0]


async def test_a_killed_part_runs_again_on_its_port(supervised: Any, standin: Any) -> None:
    async with supervised([[standin("service")]]) as watched:
        before = await watched.ready("service")
        kill(before.pid)
        after = await watched.ready("service", but_not_pid=before.pid)
    assert after.port == before.port
    assert after.restarts == 1
    assert after.last_exit == -signal.SIGKILL


async def test_a_refusal_is_told_and_not_tried_again(supervised: Any, standin: Any) -> None:
    tier = [standin("detector", "refuse", can_refuse=True), standin("embedder")]
    async with supervised([tier]) as watched:
        await watched.all_started()
        refused = watched.status("detector")
        assert watched.status("embedder").state is PartState.READY
    assert (refused.state, refused.reason, refused.restarts) == (PartState.REFUSED, "no CUDA device", 0)


async def test_bad_input_at_the_start_is_the_error_of_the_whole_start(supervised: Any, standin: Any) -> None:
    async with supervised(
        [[standin("slow", "never_get_ready"), standin("embedder", "lack_a_model")]]
    ) as watched:
        with pytest.raises(ModelUnusable, match="embedder: digest differs") as raised:
            await watched.ended()
    assert raised.value.hint == "fetch it"
    assert watched.status("slow").state is PartState.STOPPED


async def test_a_part_that_keeps_crashing_at_the_start_is_given_up_with_its_last_words(
    supervised: Any, standin: Any
) -> None:
    async with supervised([[standin("service", "crash")]]) as watched:
        with pytest.raises(SystemUnavailable, match="the last words of a broken program"):
            await watched.ended()
    assert watched.status("service").restarts == 5


async def test_a_part_that_never_gets_ready_is_given_up_with_the_reason(supervised: Any, standin: Any) -> None:
    async with supervised([[standin("service", "never_get_ready", ready_within_s=0.3)]]) as watched:
        with pytest.raises(SystemUnavailable, match="503 standing in"):
            await watched.ended()


async def test_a_port_taken_by_a_stranger_is_named_and_not_replaced(supervised: Any, standin: Any) -> None:
    spec = standin("service")
    async with supervised([[spec]]) as watched:
        before = await watched.ready("service")
        kill(before.pid)
        await watched.until("service", lambda s: s.state is PartState.BACKING_OFF)
        with socket.create_server((LOOPBACK, spec.ports[0])):
            blocked = await watched.until("service", lambda s: f"port {spec.ports[0]}" in (s.reason or ""))
        after = await watched.ready("service", but_not_pid=before.pid)
    assert blocked.state is PartState.BACKING_OFF
    assert f"by process {os.getpid()}" in (blocked.reason or "")
    assert after.port == before.port


async def test_a_port_taken_before_the_start_fails_it(supervised: Any, standin: Any) -> None:
    spec = standin("service")
    with socket.create_server((LOOPBACK, spec.ports[0])):
        async with supervised([[spec]]) as watched:
            with pytest.raises(PortInUse, match=f"port {spec.ports[0]}"):
                await watched.ended()


async def test_a_part_that_ignores_the_signal_is_killed_after_its_grace(supervised: Any, standin: Any) -> None:
    async with supervised([[standin("service", "ignore_sigterm", stop_grace_s=0.2)]]) as watched:
        await watched.ready("service")
        watched.stop.set()
        await watched.ended()
    assert watched.status("service").last_exit == -signal.SIGKILL


async def test_a_second_request_to_stop_cuts_the_grace_short(supervised: Any, standin: Any) -> None:
    async with supervised([[standin("service", "ignore_sigterm", stop_grace_s=3600)]]) as watched:
        await watched.ready("service")
        watched.stop.set()
        watched.hurry.set()
        await watched.ended()
    assert watched.status("service").last_exit == -signal.SIGKILL


async def test_a_killed_part_takes_its_children_with_it(supervised: Any, standin: Any, tmp_path: Path) -> None:
    async with supervised([[standin("service", "have_a_child")]]) as watched:
        before = await watched.ready("service")
        child = psutil.Process(int((tmp_path / "logs" / "service.log").read_text().split()[1]))
        kill(before.pid)
        await watched.ready("service", but_not_pid=before.pid)
        child.wait(timeout=30)


async def test_a_program_that_is_not_there_fails_the_start(supervised: Any, standin: Any) -> None:
    spec = standin("service")
    missing = replace(spec, launch=replace(spec.launch, argv=("/nonexistent/program",)), ports=choose_ports(1))
    async with supervised([[missing]]) as watched:
        with pytest.raises(SystemUnavailable, match="/nonexistent/program"):
            await watched.ended()
