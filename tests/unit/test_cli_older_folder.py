"""Finding the files of the older system in a folder that nobody vouches for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.cli.older_folder import Rejected, look_into, printable, usable_file
from services.kit.errors import InvalidInput
from tests.older_data import FLAT, MARKERS, write_files, write_flat, write_run


def found(folder: Path) -> set[tuple[str, str, str]]:
    return {(file.ep_id, file.run_id, file.name) for file in look_into(folder).files}


FLAT_FILES = {("show", "", name) for name in (*FLAT, *MARKERS)}


@pytest.mark.parametrize("place", ["show", "manifests/show", "data/manifests/show"])
def test_episodes_are_found_from_the_data_folder_down(tmp_path: Path, place: str) -> None:
    write_flat(tmp_path / place)
    assert found(tmp_path) == FLAT_FILES


def test_the_folder_of_one_episode_will_do(tmp_path: Path) -> None:
    assert found(write_flat(tmp_path / "show")) == FLAT_FILES


def test_each_run_below_runs_is_found_beside_the_flat_layout(tmp_path: Path) -> None:
    write_flat(tmp_path / "show")
    write_run(tmp_path / "show", "run-b")
    (tmp_path / "show" / "runs" / "active_run.json").write_text('{"run_id": "run-b"}')
    run_files = {("show", "run-b", name) for name in (*FLAT, *MARKERS)}
    assert found(tmp_path) == FLAT_FILES | run_files | {("show", "", "active_run.json")}


def test_the_name_that_the_files_give_outlives_a_renamed_folder(tmp_path: Path) -> None:
    write_flat(tmp_path / "backup of show", "RHOBH-S05E01")
    assert {ep_id for ep_id, _, _ in found(tmp_path)} == {"rhobh-s05e01"}


def test_without_a_recorded_name_the_folder_gives_it(tmp_path: Path) -> None:
    write_files(tmp_path / "Show-2", {"tracks.jsonl": []}, "")
    assert found(tmp_path) == {("show-2", "", "tracks.jsonl")}


def test_two_folders_of_one_episode_are_not_mixed(tmp_path: Path) -> None:
    write_flat(tmp_path / "a")
    write_flat(tmp_path / "b")
    looked = look_into(tmp_path)
    assert {file.shown.split("/")[0] for file in looked.files} == {"a"}
    assert [(one.file, "already" in one.reason) for one in looked.rejected] == [("b", True)]


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("x")])
def test_a_folder_without_anything_is_bad_input(tmp_path: Path, make: object) -> None:
    make(tmp_path / "dir")  # type: ignore[operator]
    with pytest.raises(InvalidInput):
        look_into(tmp_path / "dir")


def test_links_to_folders_are_rejected_by_name_and_never_followed(tmp_path: Path) -> None:
    outside = write_flat(tmp_path / "outside")
    root = tmp_path / "root"
    write_flat(root / "show")
    (root / "linked").symlink_to(outside)
    (root / "show" / "runs" / "linked").symlink_to(outside)
    write_files(root / "other", FLAT, "other")
    (root / "other" / "runs").symlink_to(outside / "runs")
    looked = look_into(root)
    assert {file.shown.split("/")[0] for file in looked.files} == {"show", "other"}
    assert [one.file for one in looked.rejected] == ["linked", "other/runs", "show/runs/linked"]


def test_a_link_that_leads_outside_is_no_usable_file(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_flat(root / "show")
    secret = tmp_path / "secret"
    secret.write_text("x")
    (root / "out").symlink_to(secret)
    (root / "in").symlink_to(root / "show" / "tracks.jsonl")
    (root / "loop").symlink_to(root / "loop")
    (root / "broken").symlink_to(root / "nowhere")
    with pytest.raises(Rejected, match="outside"):
        usable_file(root, root / "out")
    for name in ("loop", "broken"):
        with pytest.raises(Rejected):
            usable_file(root, root / name)
    assert usable_file(root, root / "in")[0] == root / "show" / "tracks.jsonl"


def test_a_pipe_is_rejected_and_not_waited_for(tmp_path: Path) -> None:
    write_flat(tmp_path / "show")
    (tmp_path / "show" / "faces.jsonl").unlink()
    os.mkfifo(tmp_path / "show" / "faces.jsonl")
    assert ("show", "", "faces.jsonl") in found(tmp_path)
    with pytest.raises(Rejected, match="no regular file"):
        usable_file(tmp_path, tmp_path / "show" / "faces.jsonl")


@pytest.mark.parametrize("ep_id", ["../etc", "a b", "-x", "a/b"])
def test_a_name_that_no_episode_can_have_is_rejected_with_its_folder(tmp_path: Path, ep_id: str) -> None:
    write_flat(tmp_path / "odd", ep_id)
    write_flat(tmp_path / "show")
    looked = look_into(tmp_path)
    assert {file.ep_id for file in looked.files} == {"show"}
    assert [one.file for one in looked.rejected] == ["odd"]


def test_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    write_flat(tmp_path / "a\x1b[31m\nb")
    (shown,) = {file.shown.split("/")[0] for file in look_into(tmp_path).files}
    assert shown == "a\\x1b[31m\\nb"
    assert printable(os.fsdecode(b"caf\xff\xc3\xa9")) == "caf\\udcffé"
