"""What the command shows: words, tables, records."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from services.cli.progress import LineView, duration_words
from services.cli.run_result import RunResult
from services.cli.screen import Screen
from services.cli.session import cpu_notice
from services.cli.tables import clock_words, identities_table, jobs_table, models_table
from services.client import (
    Artifact,
    Identity,
    Job,
    JobEvent,
    LogLine,
    Progress,
    RunError,
    StageProgress,
    StageRun,
    StateChange,
    Worker,
    WorkerModel,
)


def job(*stages: StageRun) -> Job:
    return Job(
        job_id="j1",
        ep_id="e1",
        episode_uid="u1",
        kind="pipeline",
        state="succeeded",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        warnings=("every face crop is saved",),
        stages=stages,
    )


def progress(fraction: float) -> StageProgress:
    return StageProgress("detect_track", "segment", fraction * 10, 10, "s", fraction, eta_s=75.0)


def rendered(table: object) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(table)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_a_text_of_somebody_else_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    said, shown = "a\tb\x1b]0;title\x07\x9b31m\udcff ä", "\\x1b]0;title\\x07\\x9b31m\\udcff ä"
    screen = Screen()
    screen.result(said)
    screen.say(said)
    screen.table(identities_table([Identity("id_1", said, (1,))]))
    told = capsys.readouterr()
    assert told.out.count(shown) == 2
    assert told.err.count(shown) == 1
    assert "\x1b" not in told.out + told.err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0:00.0"), (59.96, "1:00.0"), (61.25, "1:01.2"), (3600.0, "60:00.0"), (None, "-")],
)
def test_a_time_of_the_video_reads_as_minutes_and_seconds(seconds: float | None, words: str) -> None:
    assert clock_words(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(4.4, "4 s"), (75, "1 min 15 s"), (7260, "2 h 01 min")])
def test_a_duration_reads_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_names_of_people_are_never_read_as_markup() -> None:
    identity = Identity("I001", "[red]Eve[/red]", tuple(range(9)), first_ts=1.0, last_ts=2.0, screen_time_s=1.5)
    text = rendered(identities_table([identity]))
    assert "[red]Eve[/red]" in text
    assert "0, 1, 2, 3, 4, 5 and 3 more" in text


def test_a_refused_worker_is_listed_with_its_reason() -> None:
    worker = Worker("w1", "cluster", "refused", "cuda", None, "no CUDA device")
    assert "no CUDA device" in rendered(models_table([worker]))


def test_a_job_in_the_list_says_how_far_it_is_or_why_it_is_not() -> None:
    half = Progress("detect", 50, 100, "frames", 0.5)
    working = StageRun("r1", "detect_track", "running", progress=half)
    queued = StageRun("r2", "cluster", "queued", waiting_for="a worker of cluster on cuda")
    failed = Job(
        "j3", "e3", "u3", "pipeline", "failed", error=RunError("stage-failed", "[bold]the disk is full")
    )
    reused = Job("j4", "e4", "u4", "pipeline", "succeeded", reused=True)
    text = rendered(jobs_table([job(working), job(queued), failed, reused]))
    for words in ("detect_track 50%", "waits for a worker", "[bold]the disk is full", "reused"):
        assert words in text


def test_the_cpu_is_announced_only_when_a_model_executes_there() -> None:
    model = WorkerModel("yunet-n", "cuda", "cuda")
    on_gpu = Worker("w1", "detect_track", "ready", "cuda", "cuda", models=(model,))
    on_cpu = Worker("w2", "cluster", "ready", "cuda", "cpu", thread_cap=2)
    assert cpu_notice([on_gpu]) is None
    notice = cpu_notice([on_gpu, on_cpu])
    assert notice == "running on the CPU of this machine: cluster, at most 2 threads a stage"


def test_lines_of_progress_come_every_few_seconds_and_state_changes_always(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    with LineView(Screen(), clock=lambda: now[0]) as view:
        events: list[tuple[float, JobEvent]] = [
            (0.0, StateChange(1, "running", "detect_track")),
            (0.1, progress(0.1)),
            (1.0, progress(0.2)),
            (5.2, progress(0.3)),
            (5.3, StateChange(2, "queued", "faces_embed", "no worker")),
        ]
        for now[0], event in events:
            view.show(event)
    assert capsys.readouterr().err.splitlines() == [
        "detect_track: running",
        "detect_track: 10% segment 1/10 s, 1 min 15 s left",
        "detect_track: 30% segment 3/10 s, 1 min 15 s left",
        "faces_embed: queued (no worker)",
    ]


def test_noisy_and_quiet_log_lines_stay_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    with LineView(Screen()) as view:
        view.show(LogLine(1, "loaded", "info", "cluster"))
        view.show(LogLine(2, "swscale", "warning", "cluster", is_noisy=True))
        view.show(LogLine(3, "a broken frame was left out", "warning", "detect_track"))
    assert capsys.readouterr().err == "detect_track: warning: a broken frame was left out\n"


def test_in_json_mode_stdout_carries_the_json_line_alone(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(as_json=True)
    screen.result("for people")
    screen.table(identities_table([]))
    screen.json_line({"at": datetime(2026, 1, 1, tzinfo=UTC), "name": "Zoë"})
    screen.warn("loud")
    captured = capsys.readouterr()
    assert captured.out == '{"at": "2026-01-01 00:00:00+00:00", "name": "Zo\\u00eb"}\n'
    assert captured.err == "warning: loud\n"


def test_a_run_that_found_nobody_says_so_in_words() -> None:
    stages = (
        StageRun("r1", "detect_track", "succeeded", zero_rows=True),
        StageRun("r2", "faces_embed", "skipped", skip_reason="zero_rows"),
    )
    result = RunResult(job(*stages), (), (), ())
    assert result.emptiness() == ["no faces were found", "faces_embed was skipped (zero_rows)"]


def test_a_run_whose_results_were_there_says_how_to_work_anew() -> None:
    stage = StageRun("r2", "cluster", "succeeded", reused=True, reused_run_id="r1")
    assert RunResult(job(stage), (), (), ()).reuse() == []
    reused = Job("j1", "e1", "u1", "pipeline", "succeeded", reused=True, stages=(stage,))
    (sentence,) = RunResult(reused, (), (), ()).reuse()
    assert "--force" in sentence
    assert RunResult(reused, (), (), ()).to_record(None)["stages"]["cluster"]["reused"] is True


def test_the_record_of_a_run_has_the_promised_members() -> None:
    stage = StageRun("r1", "cluster", "succeeded", None, "cuda", "cpu", zero_rows=False, runtime_s=1.5)
    identity = Identity("I001", None, (1, 2), first_ts=0.0, last_ts=2.0, screen_time_s=1.0)
    artifact = Artifact(
        "tracks", "detect_track", "u/a/tracks.parquet", "00", 3, location="/data/tracks.parquet"
    )
    record = RunResult(job(stage), (identity,), (artifact,), ("loud",)).to_record(None)
    assert record == {
        "job_id": "j1",
        "ep_id": "e1",
        "state": "succeeded",
        "reused": False,
        "execution_mode": None,
        "execution_place": None,
        "stages": {
            "cluster": {
                "state": "succeeded",
                "requested_device": "cuda",
                "resolved_device": "cpu",
                "zero_rows": False,
                "reused": False,
                "runtime_s": 1.5,
            }
        },
        "identities": [
            {
                "identity_id": "I001",
                "label": None,
                "track_ids": [1, 2],
                "first_ts": 0.0,
                "last_ts": 2.0,
                "screen_time_s": 1.0,
            }
        ],
        "artifacts": {"tracks": "/data/tracks.parquet"},
        "warnings": ["loud"],
    }


def test_a_worker_is_listed_with_nodes_per_provider_and_threads_against_its_cap() -> None:
    nodes = {"CUDAExecutionProvider": 120, "CPUExecutionProvider": 3}
    model = WorkerModel("yunet-n", "cuda", "cuda", runtime="onnxruntime 1", device="cuda:0", nodes=nodes)
    worker = Worker("w1", "detect_track", "ready", "cuda", "cuda", models=(model,), thread_cap=4, threads=9)
    text = rendered(models_table([worker]))
    for part in ("CPU 3, CUDA 120", "cuda:0 (onnxruntime 1)", "9 of cap 4"):
        assert part in text
