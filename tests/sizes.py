"""The two sizes of the proofs: quick, in every test run, and full, by `make chaos`."""

from __future__ import annotations

import os
from typing import TypeVar

S = TypeVar("S")

IS_FULL = os.environ.get("SCREENALYTICS_TEST__CHAOS") == "full"


def sized(quick: S, full: S) -> S:
    return full if IS_FULL else quick
