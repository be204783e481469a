"""A job followed to its end: what is shown meanwhile, its results, and the exit status that it deserves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from services.cli.follow import follow
from services.cli.outcome import Failure, failure, interruption
from services.cli.progress import progress_view
from services.cli.run_result import RunResult
from services.cli.screen import Screen
from services.cli.session import Session
from services.cli.tables import identities_table
from services.client import ClientError, Job, JobState

if TYPE_CHECKING:
    from services.cli.truth_check import TruthCheck


class FollowedJob:
    """`truth` and the `stride` that was asked for judge what the job found, where a sample's truth is given."""

    def __init__(
        self, screen: Screen, session: Session, truth: TruthCheck | None = None, *, stride: int | None = None
    ) -> None:
        self._screen = screen
        self._session = session
        self._truth = truth
        self._stride = stride

    def to_its_end(self, job: Job, warnings: list[str]) -> int:
        """The exit status; an interrupted command cancels the job."""
        try:
            return self._conclude(self._follow(job, warnings), warnings)
        except KeyboardInterrupt as interrupt:
            return self._interrupted(job, warnings, interrupt)

    def _follow(self, job: Job, warnings: list[str]) -> Job:
        """The job when it has ended."""
        self._screen.say(f"episode {job.ep_id}, job {job.job_id}")
        for warning in warnings:
            self._screen.warn(warning)
        with progress_view(self._screen, [stage.stage for stage in job.stages]) as view:
            return follow(self._session, job.job_id, view)

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
            for sentence in (*result.emptiness(), *result.reuse()):
                self._screen.say(sentence)
            if result.identities:
                self._screen.table(identities_table(result.identities))
        for kind, location in result.locations().items():
            self._screen.result(f"{kind}: {location}")

    def _differences(self, result: RunResult) -> list[str]:
        if self._truth is None:
            return []
        differences = self._truth.differences(result.rows(), stride=self._stride)
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
            with self._session.apart() as client:
                job = client.cancel(job.job_id)
        except ClientError as error:
            self._screen.warn(f"the job may go on: {error}")
        else:
            self._screen.say(f"the job is {job.state}")
        self._screen.json_line(RunResult(job, (), (), tuple(warnings)).to_record(fault))
        return fault.exit_status


def _fault_of(job: Job, logs: str) -> Failure | None:
    """Why the job did not succeed; None when it did."""
    if job.state == JobState.SUCCEEDED:
        return None
    hint = f"more: screenalytics why {job.job_id}; logs: {logs}"
    if job.error is None:
        return failure("stage-failed", f"the job was {job.state}", hint)
    hint = f"{job.error.hint}; {hint}" if job.error.hint else hint
    return failure(job.error.code, job.error.message, hint)
