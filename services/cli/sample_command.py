"""`screenalytics sample`: an episode of which everything is known."""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress

from services.cli.options import SampleOptions
from services.cli.outcome import reported
from services.cli.sample import SampleTruth, write_sample
from services.cli.screen import Screen
from services.kit.errors import InvalidInput


def draw_sample(options: SampleOptions) -> None:
    """Raises `typer.Exit` when it cannot be drawn."""
    screen = Screen()
    with reported(screen):
        try:
            options.path.parent.mkdir(parents=True, exist_ok=True)
            truth = _draw(options, screen)
        except OSError as error:
            raise InvalidInput(f"cannot write {options.path}: {error.strerror}") from error
        screen.result(str(options.path))
        screen.result(str(options.path.with_suffix(".json")))
        screen.say(f"{len(truth.cast)} people in {len(truth.shots)} shots, {truth.duration_s:.1f} s")


def _draw(options: SampleOptions, screen: Screen) -> SampleTruth:
    with Progress(console=screen.err, transient=True) as progress:
        bar = progress.add_task("drawing")
        return write_sample(
            Path(options.path),
            seed=options.seed,
            duration_s=options.seconds,
            width=options.width,
            height=options.height,
            fps=options.fps,
            cast_size=options.cast_size,
            on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
