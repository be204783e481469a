"""`screenalytics models`: pulling over a line that breaks, checking digests, adding a model of one's own."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
import pytest
from typer.testing import CliRunner

from services.cli.app import app
from services.kit.errors import SystemUnavailable
from services.kit.inference.catalog import SHIPPED_DIR, Catalog
from services.kit.inference.stored_overlay import load_catalog
from services.kit.messages import ModelRef
from services.kit.settings import ModelsSettings, StoreSettings, WorkerSettings
from services.orchestrator.fingerprint import Ingredients

CONTENT = np.random.default_rng(1).bytes(700_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Source:
    """An HTTP server of one file that can break off, forget ranges, or send something else."""

    port: int = 0
    content: bytes = CONTENT
    knows_ranges: bool = True
    status: int = 0  # answers this instead
    break_after: list[int] = field(default_factory=list)  # bytes of each next answer that is cut short
    asked: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/model.onnx"


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    it = Source()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            it.asked.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and it.knows_ranges else 0
            if it.status == 302:  # to itself
                self.send_response(302)
                self.send_header("Location", self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if it.status:
                self.send_error(it.status)
                return
            if start >= len(it.content):
                self.send_error(416)
                return
            body = it.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(it.content) - 1}/{len(it.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: it.break_after.pop(0)] if it.break_after else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield it
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path, source: Source) -> Path:
    """A folder of models whose catalog names one that is to be fetched."""
    lines = [
        "[[models]]",
        'role = "similarity"',
        'name = "far"',
        'file = "far.onnx"',
        f'sha256 = "{DIGEST}"',
        'licence = "MIT"',
        f'url = "{source.url}"',
    ]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "catalog.toml").write_text("\n".join(lines))
    return tmp_path / "models"


def command(*args: str | Path) -> tuple[int, dict[str, Any], str]:
    """(exit status, the JSON line, stderr)."""
    result = CliRunner().invoke(app, ["models", *map(str, args), "--json"])
    lines = result.stdout.splitlines()
    return result.exit_code, json.loads(lines[-1]) if lines else {}, result.stderr


def pull(folder: Path, data_dir: Path) -> tuple[int, dict[str, Any], str]:
    return command("pull", "far", "--models-dir", folder, "--data-dir", data_dir)


def test_a_model_is_fetched_into_the_data_directory_and_is_found_there(
    folder: Path, source: Source, tmp_path: Path
) -> None:
    status, record, err = pull(folder, tmp_path / "data")
    assert status == 0, err
    target = tmp_path / "data" / "models" / "far.onnx"
    assert target.read_bytes() == CONTENT
    (model,) = record["models"]
    assert (model["state"], model["path"]) == ("present", str(target))
    status, record, _ = command("verify", "far", "--models-dir", folder, "--data-dir", tmp_path / "data")
    assert (status, record["models"][0]["path"]) == (0, str(target))
    assert pull(folder, tmp_path / "data")[0] == 0
    assert len(source.asked) == 1


def test_a_transfer_that_breaks_goes_on_where_it_stopped(folder: Path, source: Source, tmp_path: Path) -> None:
    source.break_after = [300_000, 200_000]
    assert pull(folder, tmp_path / "data")[0] == 0
    assert source.asked[0] is None
    assert all(asked for asked in source.asked[1:])
    assert (tmp_path / "data/models/far.onnx").read_bytes() == CONTENT


def test_a_transfer_that_keeps_breaking_is_gone_on_with_by_the_next_command(
    folder: Path, source: Source, tmp_path: Path
) -> None:
    source.break_after = [100_000, 0, 0, 0, 0]
    status, record, _ = pull(folder, tmp_path / "data")
    assert (status, record["error"]["code"]) == (4, "system-unavailable")
    assert "goes on where it stopped" in record["error"]["hint"]
    assert not (tmp_path / "data/models/far.onnx").exists()
    assert pull(folder, tmp_path / "data")[0] == 0
    assert source.asked[-1] == "bytes=100000-"


def test_a_server_without_ranges_is_asked_from_the_start(folder: Path, source: Source, tmp_path: Path) -> None:
    source.knows_ranges = False
    source.break_after = [300_000]
    assert pull(folder, tmp_path / "data")[0] == 0
    assert (tmp_path / "data/models/far.onnx").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"another file", CONTENT[:-1], CONTENT + b"x"])
def test_another_file_is_never_kept(folder: Path, source: Source, tmp_path: Path, content: bytes) -> None:
    source.content = content
    status, record, _ = pull(folder, tmp_path / "data")
    assert (status, record["error"]["code"]) == (2, "model-unusable")
    assert DIGEST in record["error"]["message"]
    assert list((tmp_path / "data" / "models").iterdir()) == []


def test_a_changed_file_that_hides_the_fetched_one_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "far.onnx").write_bytes(b"changed")
    status, record, err = pull(folder, tmp_path / "data")
    assert (status, record["models"][0]["state"]) == (0, "changed")
    assert str(folder / "far.onnx") in err


@pytest.mark.parametrize(("answer", "told"), [(404, "404"), (302, "redirects")])
def test_what_the_server_refuses_is_told(
    folder: Path, source: Source, tmp_path: Path, answer: int, told: str
) -> None:
    source.status = answer
    status, record, _ = pull(folder, tmp_path / "data")
    assert status == 4
    assert told in record["error"]["message"]


def test_a_model_without_an_address_cannot_be_pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCREENALYTICS_MODELS__DIR", raising=False)
    status, record, _ = command("pull", "yunet-s", "--data-dir", tmp_path)
    assert (status, record["error"]["code"]) == (2, "not-found")
    assert "libfacedetection" in record["error"]["hint"]
    assert command("pull", "nobody", "--data-dir", tmp_path)[0] == 2


def test_a_changed_file_is_found(models_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "yunet_n_dynamic.onnx").write_bytes(b"changed")
    status, record, err = command("verify", "--models-dir", tmp_path, "--data-dir", tmp_path / "data")
    assert (status, record["error"]["code"]) == (2, "model-unusable")
    assert "yunet-n (changed)" in err
    _, record, _ = command("list", "--models-dir", models_dir, "--data-dir", tmp_path / "data")
    states = {model["name"]: model["state"] for model in record["models"]}
    assert (states["yunet-n"], states["sface-2021dec"]) == ("present", "missing")
    assert command("verify", "sface-2021dec", "--data-dir", tmp_path / "data")[0] == 2


def add(file: Path, data_dir: Path, name: str, family: str, *more: str) -> tuple[int, dict[str, Any], str]:
    options = ("--name", name, "--family", family, "--data-dir", data_dir)
    return command("add", file, *options, *more)


def test_a_users_own_detector_and_embedder_are_described_and_usable(models_dir: Path, tmp_path: Path) -> None:
    detector, embedder = (
        models_dir / "noncommercial/det_500m.onnx",
        models_dir / "mobilefacenet_foamliu_dynbatch.onnx",
    )
    licence = ("--licence", "non-commercial research only")
    status, record, err = add(detector, tmp_path, "my-scrfd", "scrfd", *licence)
    assert status == 0, err
    assert record["models"][0]["tags"] == ["non-commercial"]
    status, record, err = add(embedder, tmp_path, "my-arcface", "arcface", "--licence", "mine", "--as-default")
    assert status == 0, err
    assert "thresholds belong to a model" in err
    catalog = Catalog.load(None, tmp_path / "models")
    assert catalog.default("embedder") == "my-arcface"
    entry = catalog.embedder("my-arcface")
    assert (entry.dimensions, entry.size_px, entry.channels) == (128, 112, "rgb")
    assert catalog.path("my-scrfd").read_bytes() == detector.read_bytes()
    assert record["models"][0]["embedding_space"] == entry.sha256


def test_a_model_without_a_licence_is_not_taken(models_dir: Path, tmp_path: Path) -> None:
    file = models_dir / "mobilefacenet_foamliu_dynbatch.onnx"
    assert add(file, tmp_path, "mine", "arcface", "--licence", " ")[0] == 2
    options = ["--name", "mine", "--family", "arcface", "--data-dir", str(tmp_path)]
    unanswered = CliRunner().invoke(app, ["models", "add", str(file), *options])
    assert unanswered.exit_code != 0
    assert "Licence of the weights" in unanswered.stderr
    answered = CliRunner().invoke(app, ["models", "add", str(file), *options], input="mine alone\n")
    assert answered.exit_code == 0
    assert Catalog.load(None, tmp_path / "models").entry("mine").licence == "mine alone"


def test_a_name_that_is_taken_is_not_taken_over_by_accident(models_dir: Path, tmp_path: Path) -> None:
    file, licence = models_dir / "yunet_s_dynamic.onnx", ("--licence", "MIT")
    status, record, _ = add(file, tmp_path, "yunet-n", "yunet", *licence)
    assert (status, record["error"]["code"]) == (2, "conflict")
    assert add(file, tmp_path, "yunet-n", "yunet", *licence, "--replace")[0] == 0
    assert Catalog.load(None, tmp_path / "models").path("yunet-n").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("name", ["a/b", "..", "", "a b"])
def test_a_name_that_is_no_name_is_refused(models_dir: Path, tmp_path: Path, name: str) -> None:
    status, _, _ = add(models_dir / "yunet_s_dynamic.onnx", tmp_path, name, "yunet", "--licence", "MIT")
    assert status == 2
    assert not (tmp_path / "models").exists()


def test_a_file_of_another_family_is_refused(models_dir: Path, tmp_path: Path) -> None:
    for file, family in (
        (models_dir / "yunet_n_dynamic.onnx", "scrfd"),
        (models_dir / "mobilefacenet_foamliu_dynbatch.onnx", "yunet"),
        (SHIPPED_DIR / "similarity.onnx", "arcface"),
        (SHIPPED_DIR / "catalog.toml", "arcface"),
        (tmp_path / "nothing.onnx", "arcface"),
    ):
        assert add(file, tmp_path, "mine", family, "--licence", "MIT")[0] == 2


def test_another_file_of_a_model_makes_other_fingerprints() -> None:
    """So results of an older file are stale."""
    given: dict[str, Any] = {"media_sha256": "m", "inputs": [], "config": {}, "algorithm_version": 1}
    one, other = (
        Ingredients(models=[ModelRef("embedder", "mine", sha256)], **given).fingerprint()
        for sha256 in ("a", "b")
    )
    assert one != other


def test_opencvs_own_recogniser_feeds_rgb_as_the_catalog_says_of_its_models(models_dir: Path) -> None:
    path = models_dir / "mobilefacenet_foamliu_dynbatch.onnx"
    image = np.random.default_rng(0).integers(0, 255, (112, 112, 3)).astype(np.uint8)
    expected = cv2.FaceRecognizerSF.create(str(path), "").feature(image)
    session = ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    rgb = np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1)[None], dtype=np.float32)
    np.testing.assert_allclose(session.run(None, {"input0": rgb})[0], expected, atol=1e-2)
    catalog = Catalog.load(None)
    assert {catalog.embedder(name).channels for name in ("sface-2021dec", "sface-2021dec-int8")} == {"rgb"}


def settings_for(store: Path, cache: Path) -> WorkerSettings:
    return WorkerSettings(
        store=StoreSettings(url=cache.as_uri()),
        models=ModelsSettings(overlay_url=store.as_uri(), cache_dir=cache),
    )


def test_models_added_to_an_object_store_reach_services_that_share_no_disk(
    models_dir: Path, folder: Path, tmp_path: Path
) -> None:
    store, cache = tmp_path / "stored", tmp_path / "cache"
    file = models_dir / "mobilefacenet_foamliu_dynbatch.onnx"
    into = ("--store", store.as_uri())
    status, _, err = add(file, tmp_path, "mine", "arcface", "--licence", "mine", "--as-default", *into)
    assert status == 0, err
    assert not (tmp_path / "models" / "mine.onnx").exists()
    status, _, err = command("pull", "far", "--models-dir", folder, "--data-dir", tmp_path, *into)
    assert status == 0, err
    status, _, err = command("pull", "yunet-s", "--models-dir", models_dir, "--data-dir", tmp_path, *into)
    assert status == 0, err
    assert (store / "yunet_s_dynamic.onnx").is_file()
    assert add(file, tmp_path, "mine", "arcface", "--licence", "mine", *into)[0] == 2
    names_only = load_catalog(settings_for(store, cache), with_files=False)
    assert names_only.default("embedder") == "mine"
    assert names_only.find("mine") is None
    catalog = load_catalog(settings_for(store, cache), with_files=True)
    assert catalog.path("mine").read_bytes() == file.read_bytes()
    assert catalog.path("far").read_bytes() == CONTENT
    (store / "mine.onnx").unlink()
    assert load_catalog(settings_for(store, cache), with_files=True).path("mine").is_file()


def test_a_store_without_an_overlay_changes_nothing_and_a_wrong_file_in_it_is_not_taken(
    models_dir: Path, tmp_path: Path
) -> None:
    store, cache = tmp_path / "stored", tmp_path / "cache"
    assert load_catalog(settings_for(store, cache), with_files=True).entries() == Catalog.load(None).entries()
    file = models_dir / "yunet_s_dynamic.onnx"
    assert add(file, tmp_path, "mine", "yunet", "--licence", "MIT", "--store", store.as_uri())[0] == 0
    (store / "mine.onnx").write_bytes(b"another file")
    with pytest.raises(SystemUnavailable, match="digest"):
        load_catalog(settings_for(store, cache), with_files=True)
