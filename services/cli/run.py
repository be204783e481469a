"""`screenalytics run`: a video in, a table of who is on screen out; `stage`: one stage of an episode."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from services.cli.execution import remember, settle
from services.cli.follow import follow
from services.cli.options import RunOptions
from services.cli.outcome import Failure, failure, interruption, reported
from services.cli.progress import progress_view
from services.cli.run_result import RunResult
from services.cli.screen import Screen
from services.cli.session import Session, cpu_notice, open_session, require_episodes
from services.cli.tables import identities_table
from services.cli.video_file import require_video_file
from services.client import ApiError, Client, ClientError, Episode, Job, JobState, Overrides
from services.kit.errors import Conflict

if TYPE_CHECKING:
    from services.cli.truth_check import TruthCheck


def run_job(options: RunOptions) -> None:
    """Raises `typer.Exit` with the exit status of the command."""
    screen = Screen(as_json=options.as_json)
    with reported(screen):
        video = None if options.video is None else require_video_file(options.video)
        truth = _read_truth(options.truth)
        known_as = None if video is None else str(video.resolve())
        system = settle(options.system, screen, ep_id=options.ep_id, video=known_as, may_fall_back=True)
        if video is None:
            require_episodes(system)
        with open_session(system, screen) as session:
            status = _Run(replace(options, system=system), truth, screen, session).execute(video)
    raise typer.Exit(status)


class _Run:
    def __init__(self, options: RunOptions, truth: TruthCheck | None, screen: Screen, session: Session) -> None:
        self._options = options
        self._truth = truth
        self._screen = screen
        self._session = session

    def execute(self, video: Path | None) -> int:
        """The exit status."""
        notices = self._local_warnings()
        episode = self._episode(video)
        job, remarks = self._submit_or_join(episode)
        remember(self._options.system, job.ep_id, None if video is None else str(video.resolve()))
        warnings = [*remarks, *self._options.system.notices, *notices, *job.warnings]
        try:
            return self._conclude(self._follow(job, warnings), warnings)
        except KeyboardInterrupt as interrupt:
            return self._interrupted(job, warnings, interrupt)

    def _episode(self, video: Path | None) -> Episode:
        ep_id = self._options.ep_id
        if video is not None:
            return self._session.register(video, ep_id, self._screen)
        return self._session.steadily(lambda client: client.episode(ep_id or ""))

    def _follow(self, job: Job, warnings: list[str]) -> Job:
        """The job when it has ended."""
        self._screen.say(f"episode {job.ep_id}, job {job.job_id}")
        for warning in warnings:
            self._screen.warn(warning)
        with progress_view(self._screen, [stage.stage for stage in job.stages]) as view:
            return follow(self._session, job.job_id, view)

    def _local_warnings(self) -> list[str]:
        if self._session.local is None:
            return []
        notice = cpu_notice(self._session.steadily(Client.workers))
        return [notice] if notice else []

    def _submit(self, episode: Episode) -> Job:
        options = self._options
        overrides = Overrides(
            stride=options.stride,
            save_frames=options.save_frames or None,
            save_crops=options.save_crops or None,
            jpeg_quality=options.jpeg_quality,
            scene_detector=options.scene_detector,
            track_threshold=self._track_threshold(),
        )
        return self._session.steadily(
            lambda client: client.submit(
                episode.ep_id,
                kind=options.stage or "pipeline",
                acknowledge_zero_rows=options.acknowledge_zero_rows,
                execution_mode=options.system.mode,
                execution_place=options.system.place,
                profile=options.profile,
                device=options.system.device,
                allow_cpu_fallback=options.system.allow_cpu_fallback,
                overrides=overrides,
            )
        )

    def _submit_or_join(self, episode: Episode) -> tuple[Job, list[str]]:
        """A job, and what to say of it when it already works on the episode, as after a killed run."""
        try:
            return self._submit(episode), []
        except ApiError as error:
            if error.code != Conflict.code or "job_id" not in error.extras:
                raise
            job_id, detail = str(error.extras["job_id"]), error.detail
        job = self._session.steadily(lambda client: client.job(job_id))
        options = f"profile {job.profile}, device {job.requested_device}"
        return job, [f"{detail}; following that one, with its own options ({options})"]

    def _track_threshold(self) -> float | None:
        """As given, else the one at which the sample's cast is told apart by the embedder in use."""
        if self._options.track_threshold is not None or self._truth is None:
            return self._options.track_threshold
        workers = self._session.steadily(Client.workers)
        models = [model.model for worker in workers if worker.stage == "faces_embed" for model in worker.models]
        return self._truth.track_threshold(models)

    def _conclude(self, job: Job, warnings: list[str]) -> int:
        result = self._result(job, warnings)
        self._show(result)
        fault = _fault_of(job, self._session.logs)
        differences = [] if fault else self._differences(result)
        self._screen.json_line(result.to_record(fault))
        if fault is not None:
            self._screen.fail(fault.message, fault.hint)
            return fault.exit_status
        return 1 if differences else 0

    def _result(self, job: Job, warnings: list[str]) -> RunResult:
        steadily = self._session.steadily
        has_identities = any(s.stage == "cluster" and s.state == JobState.SUCCEEDED for s in job.stages)
        identities = steadily(lambda client: client.identities(job.ep_id)) if has_identities else []
        artifacts = steadily(lambda client: client.artifacts(job.ep_id))
        late = [warning for warning in job.warnings if warning not in warnings]
        for warning in late:
            self._screen.warn(warning)
        return RunResult(job, tuple(identities), tuple(artifacts), (*warnings, *late))

    def _show(self, result: RunResult) -> None:
        if result.job.state == JobState.SUCCEEDED:
            for sentence in result.emptiness():
                self._screen.say(sentence)
            if result.identities:
                self._screen.table(identities_table(result.identities))
        for kind, location in result.locations().items():
            self._screen.result(f"{kind}: {location}")

    def _differences(self, result: RunResult) -> list[str]:
        if self._truth is None:
            return []
        differences = self._truth.differences(result.rows(), stride=self._options.stride)
        self._tell(differences or ["matches the sample's truth"])
        return differences

    def _tell(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._screen.result(line)
            if self._screen.as_json:
                self._screen.say(line)

    def _interrupted(self, job: Job, warnings: list[str], interrupt: KeyboardInterrupt) -> int:
        fault = interruption(interrupt)
        self._screen.say(f"{fault.message}: cancelling job {job.job_id}")
        try:
            job = self._session.client.cancel(job.job_id)
        except ClientError as error:
            self._screen.warn(f"the job may go on: {error}")
        else:
            self._screen.say(f"the job is {job.state}")
        self._screen.json_line(RunResult(job, (), (), tuple(warnings)).to_record(fault))
        return fault.exit_status


def _read_truth(path: Path | None) -> TruthCheck | None:
    """Raises `InvalidInput`."""
    if path is None:
        return None
    # The drawing libraries take a second to load, which other runs need not wait for.
    from services.cli.truth_check import TruthCheck  # noqa: PLC0415

    return TruthCheck.read(path)


def _fault_of(job: Job, logs: str) -> Failure | None:
    """Why the job did not succeed; None when it did."""
    if job.state == JobState.SUCCEEDED:
        return None
    if job.error is None:
        return failure("stage-failed", f"the job was {job.state}", f"logs: {logs}")
    hint = f"{job.error.hint}; logs: {logs}" if job.error.hint else f"logs: {logs}"
    return failure(job.error.code, job.error.message, hint)
