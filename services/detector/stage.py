"""The stage detect_track: `plan` cuts a video into segments, `segment` decodes and detects, `stitch` joins."""

from __future__ import annotations

import cv2

from services.detector.decode_protocol import MediaLimits
from services.detector.decoder_process import DecoderDied
from services.detector.media import probe
from services.detector.segment_task import run_segment
from services.detector.segments import check_whole, media_info, plan_segments
from services.detector.stitch_task import run_stitch
from services.detector.task_media import task_media
from services.kit.disk_need import disk_need, require_space
from services.kit.errors import InsufficientDisk, InvalidMedia, InvalidRequest
from services.kit.inference.catalog import Catalog
from services.kit.messages import MediaInfo
from services.kit.settings import DiskSettings
from services.kit.stage_configs import DetectTrackConfig
from services.kit.stages import STAGES, Done, Outcome, Reject, Retry, Stage, TaskContext, TaskKind


class DetectTrackStage:
    """Implements `services.kit.stages.StageHandler`."""

    stage = Stage.DETECT_TRACK

    def __init__(
        self, catalog: Catalog, limits: MediaLimits | None = None, *, disk: DiskSettings | None = None
    ) -> None:
        self._catalog = catalog
        self._limits = limits or MediaLimits()
        self._disk = disk or DiskSettings()

    def roles(self) -> tuple[str, ...]:
        return STAGES[self.stage].model_roles

    def run(self, context: TaskContext) -> Outcome:
        """Raises `Cancelled`, and errors of the tree that are no verdict on the video."""
        config = DetectTrackConfig.from_json(context.task.config_json)
        cv2.setNumThreads(context.thread_cap)
        try:
            return self._dispatch(context, config)
        except (InvalidMedia, InsufficientDisk) as error:
            return Reject(str(error), code=error.code)
        except DecoderDied as error:
            return Retry(str(error))

    def _dispatch(self, context: TaskContext, config: DetectTrackConfig) -> Outcome:
        match context.task.kind:
            case TaskKind.PLAN:
                return self._plan(context, config)
            case TaskKind.SEGMENT:
                entry = self._catalog.detector(config.detector)
                return run_segment(context, config, task_media(context, self._limits), entry)
            case TaskKind.STITCH:
                return run_stitch(context, config)
        raise InvalidRequest(f"{self.stage} has no task of kind {context.task.kind!r}")

    def _plan(self, context: TaskContext, config: DetectTrackConfig) -> Done:
        media = task_media(context, self._limits)
        index = probe(media, on_alive=context.tick)
        facts, info = index.facts, media_info(index)
        warning = None
        if facts.stated_end_s is not None:
            warning = check_whole(facts.end_s, facts.stated_end_s)
        _require_space(context, config, info, self._disk)
        segments = plan_segments(index, media.container, config.segment_s)
        context.log(
            f"{info.codec} {info.width} x {info.height}, {info.fps:.2f} frames/s, {info.duration_s:.1f} s: "
            f"{len(segments)} segment{'s' if len(segments) > 1 else ''}"
        )
        return Done(
            segments=tuple(segments), media_info=info, warnings=(warning,) if warning is not None else ()
        )


def _require_space(
    context: TaskContext, config: DetectTrackConfig, info: MediaInfo, settings: DiskSettings
) -> None:
    """Before anything is decoded. A remote store cannot be asked how much it takes.

    Raises `InsufficientDisk`.
    """
    need = disk_need(config, info, config.chips_per_track)
    store = context.store.local_path("")
    if store is None:  # the video and the segments' files are fetched into the scratch folder
        fetched = context.task.media.size_bytes + need.store_bytes // 2
        require_space({"the scratch folder": (context.scratch_dir, need.scratch_bytes + fetched)}, settings)
        return
    scratch = (context.scratch_dir, need.scratch_bytes)
    require_space({"the store": (store, need.store_bytes), "the scratch folder": scratch}, settings)
