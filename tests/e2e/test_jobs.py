"""What is asked of jobs by the command: why, logs, cancel, resume, and results that are there already."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.client import Client, Job
from services.local import SystemHandle

# Segments of about a second each, so that there is a middle to die in.
REQUEST = {"ep_id": "again", "device": "cpu", "profile": "low_power", "overrides": {"segment_s": 1.0}}


def submit(client: Client, **fields: Any) -> Job:
    answer = httpx.post(f"{client.base_url}/v1/jobs", json=REQUEST | fields, trust_env=False, timeout=30)
    answer.raise_for_status()
    return client.job(answer.json()["job_id"])


def wait_until(condition: Callable[[], bool], within_s: float = 200.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # what is waited for happens in other processes


@pytest.fixture
def command(screenalytics: Any, system: SystemHandle) -> Callable[..., Any]:
    return lambda *args: screenalytics(*args, "--data-dir", system.settings.data_dir)


def found(client: Client) -> list[tuple[object, ...]]:
    return [
        (i.identity_id, i.track_ids, i.first_ts, i.last_ts, i.screen_time_s) for i in client.identities("again")
    ]


@pytest.fixture(scope="module")
def cancelled(screenalytics: Any, system: SystemHandle, media_dir: Path) -> str:
    """A job that was cancelled with some of its segments done."""
    with Client(system.state.api_url) as client:
        client.register(media_dir / "short_hamilton_clip.mp4", ep_id="again")
        job = submit(client)

        def is_amid_detect() -> bool:
            stage = client.job(job.job_id).stages[0]
            return stage.tasks_done >= 3

        wait_until(is_amid_detect)
        ended = screenalytics("cancel", job.job_id, "--json", "--data-dir", system.settings.data_dir)
    assert ended.status == 0, ended.err
    assert ended.record["state"] == "cancelled"
    return job.job_id


def test_why_says_how_a_job_ended_and_what_to_do(command: Callable[..., Any], cancelled: str) -> None:
    ended = command("why", cancelled)
    assert ended.status == 0, ended.err
    sentence, step = ended.out.splitlines()
    assert sentence.startswith("It was cancelled, with ")
    assert step == f"Go on from there: screenalytics resume {cancelled}"
    assert command("why", cancelled, "--json").record["case"] == "cancelled"


def test_a_job_that_ended_amid_detect_goes_on_and_finds_the_same(
    command: Callable[..., Any], client: Client, cancelled: str
) -> None:
    (before,) = (stage for stage in client.job(cancelled).stages if stage.stage == "detect_track")
    ended = command("resume", cancelled, "--json")
    assert ended.status == 0, ended.err
    resumed = client.job(ended.record["job_id"])
    assert (resumed.state, resumed.resume_of, resumed.reused) == ("succeeded", cancelled, False)
    left = before.tasks_total - before.tasks_done
    assert left > 0

    def worked_on() -> set[str]:
        """The segments of which its workers have spoken."""
        said = [line.message.partition(":")[0] for line in client.logs(resumed.job_id)]
        return {name for name in said if name.startswith("segment ")}

    wait_until(lambda: len(worked_on()) >= left)  # the log comes after the results
    assert len(worked_on()) == left
    identities = found(client)
    assert identities

    anew = submit(client, force=True)
    wait_until(lambda: client.job(anew.job_id).has_ended)
    assert client.job(anew.job_id).state == "succeeded"
    assert found(client) == identities


def test_the_log_of_a_job_is_read_by_the_command_and_followed_to_its_end(
    command: Callable[..., Any], client: Client, cancelled: str
) -> None:
    ended = command("logs", cancelled)
    assert ended.status == 0, ended.err
    assert any("detect_track info: segment " in line for line in ended.out.splitlines())
    assert len(command("logs", cancelled, "--json").record["lines"]) == len(list(client.logs(cancelled)))
    followed = command("logs", "-f", cancelled)
    assert followed.status == 0, followed.err
    assert set(ended.out.splitlines()) <= set(followed.out.splitlines())
    assert "the job was cancelled" in followed.err


def test_an_equal_run_is_over_at_once_and_says_so_unless_it_is_forced(
    run: Callable[..., Any], media_dir: Path
) -> None:
    video, options = media_dir / "asl_book.mkv", ("--profile", "low_power", "--ep-id", "equal")
    first, second = run(video, *options), run(video, *options)
    assert first.status == second.status == 0, first.err + second.err
    assert (first.record["reused"], second.record["reused"]) == (False, True)
    assert {stage["reused"] for stage in second.record["stages"].values()} <= {True, False}
    assert second.record["stages"]["detect_track"]["reused"]
    assert second.record["artifacts"] == first.record["artifacts"]
    assert "--force works anew" in second.err
    forced = run(video, *options, "--force")
    assert forced.record["reused"] is False


def test_a_job_that_is_not_there_is_bad_input(command: Callable[..., Any]) -> None:
    for verb in ("why", "logs", "cancel", "retry", "resume"):
        ended = command(verb, "nobody", "--json")
        assert (ended.status, ended.record["error"]["code"]) == (2, "not-found"), verb


def test_the_jobs_of_an_episode_are_listed(command: Callable[..., Any], cancelled: str) -> None:
    ended = command("jobs", "again")
    assert ended.status == 0, ended.err
    assert any(cancelled in line and "cancelled" in line for line in ended.out.splitlines())
    assert command("jobs", "again", "--active", "--json").record == {"jobs": []}


def test_what_has_succeeded_is_not_done_again(
    command: Callable[..., Any], client: Client, cancelled: str
) -> None:
    done = next(job for job in client.jobs(ep_id="again") if job.state == "succeeded")
    for verb in ("retry", "resume"):
        ended = command(verb, done.job_id, "--json")
        assert (ended.status, ended.record["error"]["code"]) == (2, "conflict")
        assert "force" in ended.record["error"]["hint"]
