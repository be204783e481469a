"""The sample episode: a drawn video and the exact truth about it."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.cli.sample.cast import CAST, TRACK_THRESHOLD
from services.cli.sample.framing import frame_shot
from services.cli.sample.look import Look
from services.cli.sample.scenery import draw_place
from services.cli.sample.schedule import MIN_DURATION_S, largest_cast, person_id, plan_shots
from services.cli.sample.shooting import shoot
from services.cli.sample.truth import CastMember, FaceBox, InvalidSample, SampleTruth, Shot, appearances
from services.cli.sample.video import open_video

Progress = Callable[[int, int], None]
SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 120, 4096
LARGEST_ASPECT = 4.0
LARGEST_FPS = 120
LONGEST_DURATION_S = 4 * 3600.0


@dataclass(frozen=True)
class _Format:
    width: int
    height: int
    fps: int


def write_sample(
    path: Path,
    *,
    seed: int = 1,
    duration_s: float = 40.0,
    width: int = 960,
    height: int = 540,
    fps: int = 25,
    cast_size: int | None = None,
    on_progress: Progress | None = None,
) -> SampleTruth:
    """Draws an episode to `path` (MP4, H.264) and its truth to the same name with `.json`.

    The same arguments give the same bytes on one machine. `cast_size` None means as many as the duration holds.
    `on_progress` is called with frames drawn and frames in all. Both files appear complete or not at all.

    Raises InvalidSample for a size, rate, duration or cast that cannot be drawn, OSError when writing fails.
    """
    form = _Format(width, height, fps)
    if path.suffix == ".json":
        raise InvalidSample(f"{path.name} is the name of its truth", hint="name the video .mp4")
    _check(form, duration_s, seed)
    cast_size = min(len(CAST), largest_cast(duration_s)) if cast_size is None else cast_size
    if cast_size > len(CAST):
        raise InvalidSample(
            f"a cast of {cast_size} is not to be had", hint=f"{len(CAST)} people can be told apart"
        )
    shots = plan_shots(seed=seed, duration_s=duration_s, fps=fps, cast_size=cast_size)
    looks = {person_id(index): look for index, look in enumerate(CAST[:cast_size])}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
        video, record = Path(scratch) / "video", Path(scratch) / "truth"
        boxes = _draw(video, shots, looks, form, seed, on_progress or (lambda done, total: None))
        truth = _truth(video, shots, looks, form, seed, boxes)
        record.write_text(truth.to_json(), encoding="utf-8")
        _publish({video: path, record: path.with_suffix(".json")})
    return truth


def _publish(moves: Mapping[Path, Path]) -> None:
    """Both or none: a video without its truth is of no use."""
    done: list[Path] = []
    try:
        for source, target in moves.items():
            source.replace(target)
            done.append(target)
    except OSError:
        for target in done:
            target.unlink()
        raise


def _check(form: _Format, duration_s: float, seed: int) -> None:
    sides = (form.width, form.height)
    checks = (
        (min(sides) >= SMALLEST_SIDE_PX, f"sides of at least {SMALLEST_SIDE_PX} px"),
        (max(sides) <= LARGEST_SIDE_PX, f"sides of at most {LARGEST_SIDE_PX} px"),
        (form.width % 2 == 0 and form.height % 2 == 0, "even width and height, as yuv420p does"),
        (max(sides) <= LARGEST_ASPECT * min(sides), f"no side more than {LARGEST_ASPECT:g} times the other"),
        (1 <= form.fps <= LARGEST_FPS, f"1 to {LARGEST_FPS} frames a second"),
        (
            MIN_DURATION_S <= duration_s <= LONGEST_DURATION_S,
            f"{MIN_DURATION_S:g} s to {LONGEST_DURATION_S:g} s",
        ),
        (seed >= 0, "a seed of 0 or more"),
    )
    broken = [need for holds, need in checks if not holds]
    if broken:
        asked = f"{form.width}x{form.height} at {form.fps} fps, {duration_s:g} s, seed {seed}"
        raise InvalidSample(f"cannot draw {asked}", hint="the sample needs " + "; ".join(broken))


def _draw(
    video: Path,
    shots: tuple[Shot, ...],
    looks: Mapping[str, Look],
    form: _Format,
    seed: int,
    on_progress: Progress,
) -> tuple[FaceBox, ...]:
    boxes: list[FaceBox] = []
    total = shots[-1].end_frame + 1
    size = {"width": form.width, "height": form.height}
    with open_video(video, **size, fps=form.fps) as writer:
        for shot in shots:
            framing = frame_shot(shot, seed=seed, **size)
            place = draw_place(framing.place, seed=seed, **size)
            frames = shoot(shot, framing, looks, place, **size, fps=form.fps)
            for done, (picture, faces) in enumerate(frames, shot.start_frame + 1):
                writer.write(picture)
                boxes += faces
                on_progress(done, total)
    return tuple(boxes)


def _truth(
    video: Path,
    shots: tuple[Shot, ...],
    looks: Mapping[str, Look],
    form: _Format,
    seed: int,
    boxes: tuple[FaceBox, ...],
) -> SampleTruth:
    frames = shots[-1].end_frame + 1
    return SampleTruth(
        video_sha256=hashlib.sha256(video.read_bytes()).hexdigest(),
        seed=seed,
        width=form.width,
        height=form.height,
        fps=form.fps,
        frames=frames,
        duration_s=frames / form.fps,
        cast=tuple(CastMember(person, look.description) for person, look in looks.items()),
        shots=shots,
        cuts=tuple(shot.start_frame for shot in shots[1:]),
        boxes=boxes,
        screen_time_s=_screen_time_s(shots, form.fps),
        track_threshold=TRACK_THRESHOLD,
    )


def _screen_time_s(shots: tuple[Shot, ...], fps: int) -> dict[str, float]:
    return {person: shown.screen_time_s for person, shown in sorted(appearances(shots, fps).items())}
