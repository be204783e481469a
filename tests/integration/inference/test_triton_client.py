"""Calls to a Triton server: deadlines, what is tried again and what is not, and what the server counts."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.triton_server import TritonServer, running_triton, stop
from services.kit.errors import InferenceUnavailable, ModelUnusable, StageFailed
from services.kit.inference.triton import TritonClient, TritonOptions
from services.local.ports import choose_ports
from tests.integration.inference.conftest import StartTriton

EMBEDDER = "face-reidentification-retail-0095"
ROWS = np.eye(3, dtype=np.float32)
FEEDS = {"rows": ROWS, "columns": ROWS}


def client(server: TritonServer, **options: Any) -> TritonClient:
    return TritonClient(TritonOptions(server.grpc_url, **({"retry_for_s": 0.0} | options)))


def test_a_call_past_its_deadline_is_given_up(triton: TritonServer) -> None:
    images = np.zeros((64, 3, 128, 128), np.uint8)
    with pytest.raises(InferenceUnavailable, match="Deadline"):
        client(triton, deadline_s=0.01).infer(EMBEDDER, {"pixels": images}, ["embedding"])


def test_a_model_that_the_server_does_not_serve_is_no_model(triton: TritonServer) -> None:
    with pytest.raises(ModelUnusable, match="does not serve nobody") as refused:
        client(triton, retry_for_s=60).metadata("nobody")
    assert "triton-repository" in refused.value.hint


def test_what_the_server_refuses_is_not_tried_again(triton: TritonServer) -> None:
    asking = client(triton, retry_for_s=60)
    before = asking.statistics("similarity")
    with pytest.raises(StageFailed, match="similarity"):
        asking.infer("similarity", {"rows": ROWS.astype(np.float64), "columns": ROWS}, ["similarities"])
    with pytest.raises(StageFailed):
        asking.infer("similarity", {"rows": ROWS}, ["similarities"])
    assert asking.statistics("similarity").items == before.items


def test_the_server_counts_items_and_executions(start_triton: StartTriton, repository: Path) -> None:
    with start_triton(repository) as server:
        asking = client(server)
        before = after = asking.statistics(EMBEDDER)
        asking.infer(EMBEDDER, {"pixels": np.zeros((8, 3, 128, 128), np.uint8)}, ["embedding"])
        while after.executions == before.executions:  # it is written down after it was answered
            after = asking.statistics(EMBEDDER)
    assert (after.items - before.items, after.executions - before.executions) == (8, 1)
    assert after.failures == before.failures


def test_a_call_made_while_the_server_is_away_is_answered_when_it_is_there(
    start_triton: StartTriton, repository: Path, tmp_path: Path
) -> None:
    """`start_triton` says whether a server can run here."""
    (port,) = choose_ports(1)
    asking = TritonClient(TritonOptions(f"127.0.0.1:{port}", retry_for_s=60))
    answers: list[Any] = []
    calling = threading.Thread(
        target=lambda: answers.append(asking.infer("similarity", FEEDS, ["similarities"])), daemon=True
    )
    calling.start()
    one = tmp_path / "repository"
    one.mkdir()
    (one / "similarity").symlink_to(repository / "similarity")
    with running_triton(one, tmp_path / "work", grpc_port=port) as server:
        calling.join(60)
        np.testing.assert_array_equal(answers[0]["similarities"], ROWS)
        stop(server)
        with pytest.raises(InferenceUnavailable, match="similarity"):
            client(server).infer("similarity", FEEDS, ["similarities"])
