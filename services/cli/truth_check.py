"""A run held against what is known about a drawn episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.cli.run_result import SeenIdentity
from services.cli.sample import SampleTruth, compare, load_truth
from services.kit.errors import InvalidInput

# Sampling sees a person up to one step late; the strides of the profiles stay well below this.
_TOLERANCE_S = 0.5


@dataclass(frozen=True)
class TruthCheck:
    truth: SampleTruth

    @classmethod
    def read(cls, path: Path) -> TruthCheck:
        """Raises `InvalidInput`."""
        try:
            return cls(load_truth(path))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"cannot read the truth in {path}: {error}") from error

    def track_threshold(self, models: Sequence[str]) -> float | None:
        """The cosine at which one of these embedders tells the cast apart."""
        known = self.truth.track_threshold
        return next((known[model] for model in models if model in known), None)

    def differences(self, rows: Sequence[SeenIdentity], *, stride: int | None) -> list[str]:
        """In words; empty when the rows are the truth."""
        tolerance_s = max(_TOLERANCE_S, (stride or 1) / self.truth.fps)
        return compare(self.truth, rows, tolerance_s=tolerance_s)
