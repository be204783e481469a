"""Cuts the aligned crops that the embedder learns from and is measured on: `faces.npz`, `held_out.npz`.

python models/training/prepare_faces.py --media DIR --models DIR --out out/training
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
from crops import Cropper, joined


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/training"))
    parser.add_argument("--drawn-looks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    cropper = Cropper(args.media, args.models)
    held_out = cropper.photos(held_out=True)
    held_out.save(args.out / "held_out.npz")
    print(f"held out: {len(held_out.images)} crops of {len(held_out.names)} people")
    parts = [cropper.photos(held_out=False), cropper.clips(), cropper.drawn(args.drawn_looks, args.seed)]
    faces = joined(parts)
    faces.save(args.out / "faces.npz")
    for title, part in zip(("photos", "clips", "drawn"), parts, strict=True):
        print(f"{title}: {len(part.images)} crops in {len(part.names)} groups")


if __name__ == "__main__":
    main()
