"""Cut scores of thumbnails: what a cut, motion, light and a fade look like."""

from __future__ import annotations

import av
import numpy as np
import pytest

from services.detector.cut_scores import InternalScorer, PySceneDetectScorer, Thumbnail, difference

HEIGHT, WIDTH = 270, 480


def picture(seed: int, *, shift: int = 0) -> list[np.ndarray]:
    """Three planes of blobs about 60 px wide; `shift` moves the camera sideways, in pixels."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(16, 235, (6, 12)).astype(np.float32)
    luma = np.kron(coarse, np.ones((45, 60), np.float32))[:, shift : shift + WIDTH]
    chroma = [np.full((HEIGHT // 2, WIDTH // 2), level, np.uint8) for level in rng.integers(90, 160, 2)]
    return [luma[:HEIGHT].astype(np.uint8), *chroma]


def test_equal_frames_score_zero() -> None:
    assert difference(Thumbnail.of(picture(1)), Thumbnail.of(picture(1))) == 0.0


def test_another_picture_scores_far_above_a_moving_camera() -> None:
    still, moved, other = (Thumbnail.of(p) for p in (picture(1), picture(1, shift=9), picture(2)))
    assert difference(moved, still) < 9.0
    assert difference(other, still) > 60.0


def test_brighter_light_scores_far_below_a_cut() -> None:
    planes = picture(1)
    brighter = [np.clip(planes[0].astype(int) + 20, 0, 255).astype(np.uint8), *planes[1:]]
    assert difference(Thumbnail.of(brighter), Thumbnail.of(planes)) < 5.0


def test_noise_does_not_score() -> None:
    planes = picture(1)
    noise = np.random.default_rng(0).normal(0, 6, planes[0].shape)
    noisy = [np.clip(planes[0] + noise, 0, 255).astype(np.uint8), *planes[1:]]
    assert difference(Thumbnail.of(noisy), Thumbnail.of(planes)) < 2.0


def test_a_change_of_shape_is_a_cut() -> None:
    upright = [plane.T for plane in picture(1)]
    assert difference(Thumbnail.of(upright), Thumbnail.of(picture(1))) == 255.0


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (16, 400), (90, 50)])
def test_frames_smaller_than_a_thumbnail_can_be_compared(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    a, b = (Thumbnail.of([rng.integers(0, 255, size, dtype=np.uint8)]) for _ in range(2))
    assert 0 <= difference(a, b) <= 255


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv444p", "gray", "yuv420p10le", "rgb24"])
def test_every_pixel_format_is_scored(pixel_format: str) -> None:
    frames = [
        av.VideoFrame.from_ndarray(np.dstack([picture(seed)[0]] * 3), format="bgr24").reformat(
            format=pixel_format
        )
        for seed in (1, 1, 2)
    ]
    scorer = InternalScorer()
    first, same, cut = (scorer.score(frame) for frame in frames)
    assert first is None
    assert same == 0.0
    assert cut is not None
    assert cut > 27.0


def test_pyscenedetect_scores_on_the_same_scale() -> None:
    frames = [
        av.VideoFrame.from_ndarray(np.dstack([picture(seed)[0]] * 3), format="bgr24") for seed in (1, 1, 2)
    ]
    scorer = PySceneDetectScorer()
    first, same, cut = (scorer.score(frame) for frame in frames)
    assert first is None
    assert same == pytest.approx(0.0, abs=0.5)
    assert cut is not None
    assert cut > 20.0
