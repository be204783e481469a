"""What a running system tells of itself: one trace of a job through every process, logs, and exemplars."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.client import Client
from services.kit.inference.placement import Provider
from services.kit.logs import KEYS
from services.kit.stages import STAGE_ORDER
from services.local import LocalSettings, SystemHandle, start_system
from services.local.data_dir import DataDir
from tests.conftest import REPOSITORY
from tests.otlp import Received, Receiver, receiving

VIDEO = REPOSITORY / "deploy/helm/screenalytics/files/episode.mp4"
FILE_NAME, EP_ID = "somebodys holiday.mp4", "somebody-on-holiday"
WORKERS = ("detector", "embedder", "clusterer")
SENT_RESULT = "process screenalytics.result.{job_id}"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@dataclass(frozen=True)
class Observed:
    """A system that has worked on one job, with what it has sent."""

    system: SystemHandle
    job_id: str
    spans: list[Received]

    @property
    def trace(self) -> dict[str, Received]:
        """The spans of the trace that the job's request began, by their id."""
        (asked,) = [span for span in self.spans if span.name == "POST /v1/jobs"]
        return {span.span_id: span for span in self.spans if span.trace_id == asked.trace_id}

    def named(self, start: str) -> list[Received]:
        return [span for span in self.trace.values() if span.name.startswith(start)]

    def lines(self, service: str) -> list[dict[str, Any]]:
        log = DataDir(self.system.settings.data_dir).log_file(service)
        return [json.loads(line) for line in log.read_text().splitlines()]

    def metrics(self, part: str) -> str:
        (port,) = [p.port for p in self.system.state.parts if p.name == part]
        return httpx.get(f"http://127.0.0.1:{port}/metrics", headers=OPENMETRICS, trust_env=False).text


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    with receiving() as (receiver, port), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCREENALYTICS_TRACES__ENDPOINT", f"http://127.0.0.1:{port}")
        patch.setenv("SCREENALYTICS_LOG__FORMAT", "json")
        data_dir = tmp_path_factory.mktemp("observed") / "data"
        with start_system(LocalSettings(data_dir=data_dir, device=Provider.CPU, threads=1)) as system:
            shutil.copy(VIDEO, video := data_dir.parent / FILE_NAME)
            job_id = worked(system, video)
            yield Observed(system, job_id, complete(receiver, job_id))


def worked(system: SystemHandle, video: Path) -> str:
    """The id of a job that has ended well."""
    with Client(system.state.api_url) as client:
        client.register(video, ep_id=EP_ID)
        job = client.submit(EP_ID, device="cpu", profile="low_power")
        for _ in client.watch(job.job_id):
            pass  # until it has ended
        assert client.job(job.job_id).state == "succeeded"
        return job.job_id


def complete(receiver: Receiver, job_id: str) -> list[Received]:
    """All spans, once every task's attempt and its result have arrived."""

    def is_there(spans: list[Received]) -> bool:
        own = [span for span in spans if span.attributes.get("screenalytics.job_id") == job_id]
        tasks = {s.attributes["screenalytics.task_id"] for s in own if "process screenalytics.task" in s.name}
        judged = {s.attributes["screenalytics.task_id"] for s in own if s.name == SENT_RESULT}
        stages = {s.name.split(".")[2] for s in own if s.name.startswith("process screenalytics.task")}
        return tasks == judged and stages == set(STAGE_ORDER) and parents_are_there(spans)

    return receiver.until(is_there)


def parents_are_there(spans: list[Received]) -> bool:
    ids = {span.span_id for span in spans}
    return all(not span.parent_id or span.parent_id in ids for span in spans)


def test_one_trace_goes_from_the_request_through_each_stage_and_back(observed: Observed) -> None:
    trace = observed.trace
    assert {span.service for span in trace.values()} == {"orchestrator", *WORKERS}
    (root,) = [span for span in trace.values() if not span.parent_id]
    assert root.name == "POST /v1/jobs"
    attempts = observed.named("process screenalytics.task.")
    assert {span.name.split(".")[2] for span in attempts} == set(STAGE_ORDER)
    for attempt in attempts:
        assert line_of(trace, attempt)[-1] is root


def line_of(trace: dict[str, Received], span: Received) -> list[Received]:
    """The span and those above it, up to the root."""
    line = [span]
    while line[-1].parent_id:
        line.append(trace[line[-1].parent_id])
    return line


def test_a_task_is_below_what_made_it_and_its_result_below_the_attempt(observed: Observed) -> None:
    trace = observed.trace
    for attempt in observed.named("process screenalytics.task."):
        relayed = trace[attempt.parent_id]
        made_by = trace[relayed.parent_id]
        assert relayed.name == attempt.name.replace("process", "send")
        is_first = attempt.attributes["screenalytics.task_kind"] == "plan"
        assert made_by.name == ("POST /v1/jobs" if is_first else SENT_RESULT)
        below = {span.name: span for span in trace.values() if span.parent_id == attempt.span_id}
        assert set(below) == {"send screenalytics.claim", "send screenalytics.result.{job_id}"}
        for sent in below.values():
            (heard,) = [span for span in trace.values() if span.parent_id == sent.span_id]
            assert heard.service == "orchestrator"
            assert (
                heard.attributes["screenalytics.attempt_id"] == attempt.attributes["screenalytics.attempt_id"]
            )


def test_spans_bear_ids_and_nothing_that_a_user_has_named(observed: Observed) -> None:
    allowed = ("screenalytics.", "messaging.", "http.", "error.type")
    for span in observed.spans:
        assert not span.is_failed
        for key, value in span.attributes.items():
            assert key.startswith(allowed), key
            assert EP_ID not in str(value)
            assert FILE_NAME not in str(value)
        assert EP_ID not in span.name
    (asked,) = observed.named("POST /v1/jobs")
    assert asked.attributes["screenalytics.job_id"] == observed.job_id
    assert (asked.attributes["http.route"], asked.attributes["http.response.status_code"]) == ("/v1/jobs", 202)


def test_every_line_of_every_service_is_json_with_known_keys(observed: Observed) -> None:
    for service in ("orchestrator", *WORKERS):
        lines = observed.lines(service)
        assert lines
        for line in lines:
            assert list(line)[:5] == list(KEYS)[:5]
            assert set(line) <= set(KEYS)
            assert line["service"] == service


def test_a_line_about_a_task_names_its_job_its_attempt_and_its_trace(observed: Observed) -> None:
    for service in ("orchestrator", *WORKERS):
        told = [line for line in observed.lines(service) if line.get("job_id") == observed.job_id]
        assert told, service
        for line in told:
            assert line["span_id"] in observed.trace
            assert observed.trace[line["span_id"]].trace_id == line["trace_id"]
            assert line["task_id"]
            assert line["attempt_id"]


def test_histograms_name_a_trace_for_whoever_accepts_it(observed: Observed) -> None:
    ids = {span.trace_id for span in observed.spans}
    series = {
        "orchestrator": "screenalytics_http_request_duration_seconds_bucket",
        "detector": "screenalytics_inference_duration_seconds_bucket",
        "clusterer": "screenalytics_worker_task_duration_seconds_bucket",
    }
    for part, name in series.items():
        marked = [
            line for line in observed.metrics(part).splitlines() if line.startswith(name) and " # " in line
        ]
        assert marked, part
        for line in marked:
            assert line.partition('trace_id="')[2].partition('"')[0] in ids
