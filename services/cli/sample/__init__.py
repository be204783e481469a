"""A synthetic episode with exact ground truth: the test bed, and what `make demo` shows."""

from services.cli.sample.compare import IdentityRow, compare
from services.cli.sample.episode import write_sample
from services.cli.sample.truth import InvalidSample, SampleTruth, load_truth

__all__ = ["IdentityRow", "InvalidSample", "SampleTruth", "compare", "load_truth", "write_sample"]
