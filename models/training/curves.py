"""Writes the learning curves into `docs/models.md`, between its two markers.

python models/training/curves.py --out out/training
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- curves: begin -->", "<!-- curves: end -->"
MOST_ROWS = 14
COLUMNS = {
    "embedder": ("step", "loss", "auc", "tar_at_far_1pct", "tar_at_far_01pct", "same_mean", "different_mean"),
    "detector": ("step", "score", "box", "landmarks", "recall", "precision", "landmark_error"),
}


def table(log: Path, columns: tuple[str, ...]) -> list[str]:
    """Evenly spaced rows of a run's log, the last always among them; a step that was run twice counts once."""
    rows: dict[int, dict[str, Any]] = {}
    for line in log.read_text("utf-8").splitlines():
        record = json.loads(line)
        rows[record["step"]] = record
    ordered = [rows[step] for step in sorted(rows)]
    apart = max(1, -(-len(ordered) // MOST_ROWS))
    picked = ordered[::-1][::apart][::-1]
    head = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return head + [f"| {' | '.join(str(row[column]) for column in columns)} |" for row in picked]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/training"))
    args = parser.parse_args()
    lines = [BEGIN]
    for name, columns in COLUMNS.items():
        lines += ["", f"### The {name}", "", *table(args.out / name / "log.jsonl", columns)]
    text = DOCUMENT.read_text("utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCUMENT.write_text("\n".join([before.rstrip(), "", *lines, "", END]) + after, "utf-8")


if __name__ == "__main__":
    main()
