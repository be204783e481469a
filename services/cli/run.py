"""`screenalytics run`: a video in, a table of who is on screen out; `stage`: one stage of an episode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import typer

from services.cli.execution import remember, settle
from services.cli.followed_job import FollowedJob
from services.cli.options import RunOptions
from services.cli.outcome import reported
from services.cli.screen import Screen
from services.cli.session import Session, cpu_notice, open_session, require_episodes
from services.cli.video_file import require_video_file
from services.client import ApiError, Client, Episode, Job, Overrides
from services.kit.errors import Conflict

if TYPE_CHECKING:
    from services.cli.truth_check import TruthCheck


def run_job(options: RunOptions) -> None:
    """Raises `typer.Exit` with the exit status of the command."""
    screen = Screen(as_json=options.as_json)
    with reported(screen):
        video = None if options.video is None else require_video_file(options.video)
        truth = _read_truth(options.truth)
        known_as = _known_as(options, video)
        system = settle(options.system, screen, ep_id=options.ep_id, video=known_as, may_fall_back=True)
        if known_as is None:
            require_episodes(system)
        with open_session(system, screen) as session:
            status = _Run(replace(options, system=system), truth, screen, session).execute(video, known_as)
    raise typer.Exit(status)


class _Run:
    def __init__(self, options: RunOptions, truth: TruthCheck | None, screen: Screen, session: Session) -> None:
        self._options = options
        self._truth = truth
        self._screen = screen
        self._session = session

    def execute(self, video: Path | None, known_as: str | None) -> int:
        """The exit status."""
        notices = self._local_warnings()
        episode = self._episode(video)
        job, remarks = self._submit_or_join(episode)
        remember(self._options.system, job.ep_id, known_as)
        followed = FollowedJob(self._screen, self._session, self._truth, stride=self._options.stride)
        return followed.to_its_end(job, [*remarks, *self._options.system.notices, *notices, *job.warnings])

    def _episode(self, video: Path | None) -> Episode:
        ep_id = self._options.ep_id
        if video is not None:
            return self._session.register(video, ep_id, self._screen)
        uri = self._options.source_uri
        if uri is not None:
            self._screen.say(f"{self._session.client.base_url} fetches the video")
            return self._session.steadily(lambda client: client.register_source(uri, ep_id=ep_id))
        return self._session.steadily(lambda client: client.episode(ep_id or ""))

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
        key = uuid4().hex  # one run is one job, also where the system is brought back amid the submit
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
                force=options.force,
                overrides=overrides,
                idempotency_key=key,
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


def _known_as(options: RunOptions, video: Path | None) -> str | None:
    """What a video is remembered by: its path, or its URI without what may be a signature."""
    if options.source_uri is not None:
        return options.source_uri.partition("?")[0]
    return None if video is None else str(video.resolve())


def _read_truth(path: Path | None) -> TruthCheck | None:
    """Raises `InvalidInput`."""
    if path is None:
        return None
    # The drawing libraries take a second to load, which other runs need not wait for.
    from services.cli.truth_check import TruthCheck  # noqa: PLC0415

    return TruthCheck.read(path)
