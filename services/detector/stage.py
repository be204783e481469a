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
from services.kit.errors import InvalidMedia, InvalidRequest
from services.kit.inference.catalog import Catalog
from services.kit.stage_configs import DetectTrackConfig
from services.kit.stages import STAGES, Done, Outcome, Reject, Retry, Stage, TaskContext, TaskKind


class DetectTrackStage:
    """Implements `services.kit.stages.StageHandler`."""

    stage = Stage.DETECT_TRACK

    def __init__(self, catalog: Catalog, limits: MediaLimits | None = None) -> None:
        self._catalog = catalog
        self._limits = limits or MediaLimits()

    def roles(self) -> tuple[str, ...]:
        return STAGES[self.stage].model_roles

    def run(self, context: TaskContext) -> Outcome:
        """Raises `Cancelled`, and errors of the tree that are no verdict on the video."""
        config = DetectTrackConfig.from_json(context.task.config_json)
        cv2.setNumThreads(context.thread_cap)
        try:
            return self._dispatch(context, config)
        except InvalidMedia as error:
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
        segments = plan_segments(index, media.container, config.segment_s)
        context.log(
            f"{info.codec} {info.width} x {info.height}, {info.fps:.2f} frames/s, {info.duration_s:.1f} s: "
            f"{len(segments)} segment{'s' if len(segments) > 1 else ''}"
        )
        return Done(
            segments=tuple(segments), media_info=info, warnings=(warning,) if warning is not None else ()
        )
