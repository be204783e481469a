"""Truth against the product's final table: who is missing, who is too many, whose times are off."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from services.cli.sample.truth import Appearance, SampleTruth

SCREEN_TIME_TOLERANCE = 0.10
# In matching, a figure off by this many tolerances is simply wrong, however far off: one split or merged
# identity must not push the sound ones to other people.
WRONG_AT_TOLERANCES = 5


class IdentityRow(Protocol):
    """A row of the table of identities; times in seconds from the first frame."""

    @property
    def identity_id(self) -> str: ...
    @property
    def track_ids(self) -> Sequence[object]: ...
    @property
    def first_ts(self) -> float: ...
    @property
    def last_ts(self) -> float: ...
    @property
    def screen_time_s(self) -> float: ...


def compare(truth: SampleTruth, identities: Sequence[IdentityRow], *, tolerance_s: float) -> list[str]:
    """Differences in words; empty when each person is exactly one identity, first and last seen within
    `tolerance_s` and screen time within 10 % (or `tolerance_s`, where that is more).

    Identities and people are matched one to one so that the sum of their (bounded) time differences is least.
    """
    people = truth.appearances()
    names = list(people)
    matches = _match([people[name] for name in names], identities, WRONG_AT_TOLERANCES * tolerance_s)
    matched = {names[person]: identities[row] for person, row in matches}
    differences = [f"{name} is missing: {_times(people[name])}" for name in names if name not in matched]
    taken = {row for _, row in matches}
    differences += [
        f"identity {identity.identity_id} is nobody of the cast: {_times(identity)}"
        for row, identity in enumerate(identities)
        if row not in taken
    ]
    for name, identity in matched.items():
        differences += _differences(name, people[name], identity, tolerance_s)
    return differences


def _match(
    people: Sequence[Appearance], identities: Sequence[IdentityRow], bound_s: float
) -> list[tuple[int, int]]:
    cost = np.array([[_distance_s(person, identity, bound_s) for identity in identities] for person in people])
    if cost.size == 0:
        return []
    rows, columns = linear_sum_assignment(cost)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _distance_s(person: Appearance, identity: IdentityRow, bound_s: float) -> float:
    differences = (
        person.first_ts - identity.first_ts,
        person.last_ts - identity.last_ts,
        person.screen_time_s - identity.screen_time_s,
    )
    return sum(min(abs(difference), bound_s) for difference in differences)


def _differences(name: str, person: Appearance, identity: IdentityRow, tolerance_s: float) -> list[str]:
    screen_time_tolerance_s = max(tolerance_s, SCREEN_TIME_TOLERANCE * person.screen_time_s)
    checks = (
        ("first seen", person.first_ts, identity.first_ts, tolerance_s),
        ("last seen", person.last_ts, identity.last_ts, tolerance_s),
        ("screen time", person.screen_time_s, identity.screen_time_s, screen_time_tolerance_s),
    )
    return [
        f"{name} ({identity.identity_id}): {what} {found:.2f} s, should be {true:.2f} s"
        for what, true, found, allowed_s in checks
        if abs(true - found) > allowed_s
    ]


def _times(row: Appearance | IdentityRow) -> str:
    return f"{row.first_ts:.2f} s to {row.last_ts:.2f} s, {row.screen_time_s:.2f} s on screen"
