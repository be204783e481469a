"""Whether an episode is in a state in which the job can start; each check raises an error that says why not."""

from __future__ import annotations

from services.kit.errors import Conflict, InvalidRequest, NotFound, ZeroRows
from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.database import Row, Transaction
from services.orchestrator.job_request import JobRequest
from services.orchestrator.transitions import inputs_for


def check_acknowledgement(request: JobRequest) -> None:
    if request.acknowledge_zero_rows and len(request.stages) > 1:
        raise InvalidRequest(
            "acknowledge_zero_rows goes with one stage; a pipeline skips what follows one that found nothing",
            hint="submit the stage after it by itself",
        )


async def require_episode(tx: Transaction, request: JobRequest) -> Row:
    """The current episode. Raises `NotFound`, and `Conflict` where the job needs a video that is not there."""
    episode = await tx.one("current_episode", ep_id=request.ep_id)
    if episode is None:
        raise NotFound(f"no episode {request.ep_id!r}")
    if episode["media_uri"] is None:
        raise Conflict(
            f"episode {request.ep_id} was imported and has no video",
            hint=f"upload its video under the same name: screenalytics run VIDEO --ep-id {request.ep_id}",
        )
    if episode["media_removed_at"] is not None and Stage.DETECT_TRACK in request.stages:
        raise Conflict(
            f"the video of episode {request.ep_id} is no longer kept",
            hint="upload the same video once more, or submit a later stage alone",
        )
    return episode


async def require_inputs(tx: Transaction, request: JobRequest, episode: Row) -> None:
    """Raises `Conflict` where the first stage lacks what it reads, `ZeroRows` where that is empty."""
    stage = request.stages[0]
    before = STAGE_ORDER[: STAGE_ORDER.index(stage)]
    if not before:
        return
    _, missing = await inputs_for(tx, episode["episode_uid"], stage)
    if missing:
        raise Conflict(
            f"{stage} needs the output of {', '.join(sorted(missing))}, which episode {request.ep_id} lacks",
            hint="submit that stage first, or a pipeline job",
        )
    current = {r["stage"]: r for r in await tx.all("current_runs", episode_uid=episode["episode_uid"])}
    empty = [s for s in before if current.get(s, {}).get("zero_rows")]
    if empty and not request.acknowledge_zero_rows:
        raise ZeroRows(
            f"{empty[-1]} found nothing in episode {request.ep_id}, so {stage} has nothing to work on",
            hint=f"run {empty[0]} with other parameters, or run {stage} all the same with "
            "acknowledge_zero_rows (--acknowledge-zero-rows)",
        )
