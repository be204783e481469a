"""Who is in which shot: the plan of an episode, drawn by seed.

Every plan has an empty shot and two shots with two people, and shows every member of the cast in at least two
shots; no two people can be mistaken for each other by their times.
"""

from itertools import combinations, pairwise

import numpy as np

from services.cli.sample.truth import InvalidSample, Shot, appearances

MIN_DURATION_S = 4.0
MEAN_SHOT_S = 3.3
SHORTEST_SHOT_S, LONGEST_SHOT_S = 2.0, 5.0
SIGNATURE_GAP_S = 0.75
ATTEMPTS = 200


def person_id(index: int) -> str:
    return f"P{index + 1:02d}"


def shot_count(duration_s: float) -> int:
    return max(4, round(duration_s / MEAN_SHOT_S))


def largest_cast(duration_s: float) -> int:
    """How many people can be shown twice each, with two in at most half of the shots."""
    filled = shot_count(duration_s) - _empty_count(shot_count(duration_s))
    return (filled + max(2, filled // 2)) // 2


def plan_shots(*, seed: int, duration_s: float, fps: int, cast_size: int) -> tuple[Shot, ...]:
    """Raises InvalidSample when the cast does not fit the duration."""
    if not 2 <= cast_size <= largest_cast(duration_s):
        raise InvalidSample(
            f"a cast of {cast_size} does not fit {duration_s:g} s",
            hint=f"2 to {largest_cast(duration_s)} people do",
        )
    rng = np.random.default_rng([seed, 1])
    lengths = _lengths(rng, round(duration_s * fps), shot_count(duration_s), fps)
    plans = [_attempt(rng, lengths, cast_size) for _ in range(ATTEMPTS)]
    sound = [plan for plan in plans if is_sound(plan, fps, cast_size)]
    if not sound:
        raise InvalidSample(
            f"found no plan of {duration_s:g} s for a cast of {cast_size}", hint="try another seed"
        )
    return min(sound, key=_repeats)


def is_sound(shots: tuple[Shot, ...], fps: int, cast_size: int) -> bool:
    """Everybody returns, and no two people share first seen, last seen and screen time."""
    shown = appearances(shots, fps)
    counts = [sum(person in shot.persons for shot in shots) for person in shown]
    apart = (
        max(abs(a.first_ts - b.first_ts), abs(a.last_ts - b.last_ts), abs(a.screen_time_s - b.screen_time_s))
        for a, b in combinations(shown.values(), 2)
    )
    return len(shown) == cast_size and min(counts) >= 2 and min(apart) >= SIGNATURE_GAP_S


def _empty_count(shots: int) -> int:
    return max(1, shots // 14)


def _lengths(rng: np.random.Generator, frames: int, shots: int, fps: int) -> list[int]:
    """Frames of each shot: 2 s to 5 s, or nearly even where the episode is too short for that."""
    shortest = min(SHORTEST_SHOT_S * fps, 0.8 * frames / shots)
    longest = LONGEST_SHOT_S * fps
    weights = rng.uniform(0.0, 1.0, shots)
    spare = frames - shots * shortest
    share = np.minimum(weights / weights.sum() * spare, longest - shortest)
    share += (spare - share.sum()) * (longest - shortest - share) / (shots * (longest - shortest) - share.sum())
    ends = np.rint(np.cumsum(shortest + share)).astype(int)
    ends[-1] = frames
    return [int(length) for length in np.diff(ends, prepend=0)]


def _sizes(rng: np.random.Generator, shots: int, cast_size: int) -> list[int]:
    """People per shot. The first shows one; the empty ones stand apart, neither first nor last."""
    empty = _empty_count(shots)
    filled = shots - empty
    pairs = max(2, 2 * cast_size - filled, filled // 4)
    sizes = [1] * (filled - pairs - 1) + [2] * pairs
    rng.shuffle(sizes)
    sizes.insert(0, 1)
    for k in range(empty):
        sizes.insert((k + 1) * shots // (empty + 1), 0)
    return sizes


def _people(rng: np.random.Generator, sizes: list[int], cast_size: int) -> list[tuple[int, ...]]:
    """One newcomer a shot until all are known; otherwise who was seen least, and not in the shot before."""
    seen = np.zeros(cast_size, dtype=int)
    known = 0
    before: tuple[int, ...] = ()
    people: list[tuple[int, ...]] = []
    for size in sizes:
        chosen: list[int] = []
        if size and known < cast_size:
            chosen.append(known)
            known += 1
        others = [p for p in rng.permutation(known).tolist() if p not in chosen]
        others.sort(key=lambda p: (p in before, seen[p]))
        chosen += others[: size - len(chosen)]
        seen[chosen] += 1
        before = tuple(chosen)
        people.append(before)
    return people


def _attempt(rng: np.random.Generator, lengths: list[int], cast_size: int) -> tuple[Shot, ...]:
    return _shots(lengths, _people(rng, _sizes(rng, len(lengths), cast_size), cast_size))


def _shots(lengths: list[int], people: list[tuple[int, ...]]) -> tuple[Shot, ...]:
    shots: list[Shot] = []
    start = 0
    for index, (length, shown) in enumerate(zip(lengths, people, strict=True)):
        persons = tuple(person_id(p) for p in sorted(shown))
        shots.append(Shot(index, start, start + length - 1, persons, "cut" if index else "start"))
        start += length
    return tuple(shots)


def _repeats(shots: tuple[Shot, ...]) -> int:
    """How often somebody stays over a cut; returning after an absence is what an episode tests."""
    return sum(len(set(a.persons) & set(b.persons)) for a, b in pairwise(shots))
