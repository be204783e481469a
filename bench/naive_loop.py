"""What a user would write instead: read every frame, detect, embed every face, cluster.

The baseline of `bench/pipeline.py`, with the same model files, input size, stride and thread cap. It decodes
with `cv2.VideoCapture.read()`, runs one image per call, keeps no tracks, and clusters all faces by
scikit-learn's average linkage. `--ort-default` leaves ONNX Runtime's threads and spinning as they come.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import perf_counter, process_time

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering

from services.detector.detect import FaceDetector
from services.embedder.embedding import FaceEmbedder
from services.embedder.preprocess import align
from services.kit.inference.catalog import Catalog
from services.kit.inference.ort_session import OrtSession
from services.kit.inference.placement import Placement, Provider
from services.kit.inference.session import Session


def open_plain(path: Path, threads: int | None) -> Session:
    """`threads` None: as ONNX Runtime comes."""
    options = ort.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    placement = Placement(Provider.CPU, Provider.CPU, f"onnxruntime {ort.__version__}", "cpu")
    return OrtSession(session, placement)


def cluster(vectors: NDArray[np.float32], threshold: float) -> int:
    if len(vectors) < 2:
        return len(vectors)
    model = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=1 - threshold
    )
    return len(set(model.fit_predict(vectors)))


def run(
    video: Path, catalog: Catalog, *, stride: int, long_side_px: int, threads: int | None
) -> dict[str, float]:
    started, cpu = perf_counter(), process_time()
    detector_entry = catalog.detector(catalog.default("detector"))
    embedder_entry = catalog.embedder(catalog.default("embedder"))
    if threads is not None:
        cv2.setNumThreads(threads)
    detector = FaceDetector(
        open_plain(catalog.path(detector_entry.name), threads),
        detector_entry,
        long_side_px=long_side_px,
        score_threshold=0.5,
        nms_iou=0.3,
    )
    embedder = FaceEmbedder(open_plain(catalog.path(embedder_entry.name), threads), embedder_entry, 1)
    capture = cv2.VideoCapture(str(video))
    frames = detected = 0
    vectors: list[NDArray[np.float32]] = []
    while True:
        is_read, frame = capture.read()
        if not is_read:
            break
        if frames % stride == 0:
            detected += 1
            (faces,) = detector.detect([frame])
            vectors += [embedder.embed([align(frame, points, embedder_entry)])[0] for points in faces.landmarks]
        frames += 1
    clusters = cluster(np.asarray(vectors), embedder_entry.face_threshold)
    return {
        "wall_s": perf_counter() - started,
        "cpu_s": process_time() - cpu,
        "frames_decoded": frames,
        "frames_detected": detected,
        "faces_embedded": len(vectors),
        "clusters": clusters,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--models-dir", type=Path)
    parser.add_argument("--stride", type=int, default=5)
    parser.add_argument("--long-side-px", type=int, default=640)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ort-default", action="store_true")
    parser.add_argument("--json", action="store_true", help="accepted for symmetry; output is always JSON")
    arguments = parser.parse_args()
    threads = None if arguments.ort_default else arguments.threads
    catalog = Catalog.load(arguments.models_dir)
    figures = run(
        arguments.video, catalog, stride=arguments.stride, long_side_px=arguments.long_side_px, threads=threads
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
