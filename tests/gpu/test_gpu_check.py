"""The check for GPU machines: whole where there is a GPU, and honest where there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("gpu_check.py")


def test_every_piece_is_shown_or_says_why_not(models_dir: Path, tmp_path: Path) -> None:
    page = tmp_path / "gpu.md"
    command = [sys.executable, str(SCRIPT), "--models-dir", str(models_dir), "--out", str(page), "--json"]
    ended = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    record = json.loads(ended.stdout.splitlines()[-1])
    expected = {"ok"} if record["device"] else {"ok", "not run"}
    for piece in record["pieces"]:
        assert piece["verdict"] in expected
        assert piece["detail"]
        assert f"| {piece['name']} | {piece['verdict']} |" in page.read_text()
    (hidden,) = [piece for piece in record["pieces"] if piece["name"] == "a hidden GPU is refused"]
    assert hidden["verdict"] == "ok"
