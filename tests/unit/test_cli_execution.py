"""Where a command executes: what was asked for, what is remembered, and whether the remote system answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli.execution import choose
from services.cli.execution_memory import ExecutionMemory, Remembered
from services.cli.options import Mode, Place, SystemOptions
from services.kit.errors import InvalidInput

A, B = "http://a.invalid", "http://b.invalid"
HERE = None


@dataclass(frozen=True)
class Case:
    """`expected`: the address in use, None for this machine."""

    name: str
    expected: str | None
    mode: Mode | None = None
    api: str | None = None
    remembered: Remembered | None = None
    answers: bool = True
    may_fall_back: bool = True
    data_dir: Path | None = None
    warns: bool = False


LOCALLY, REMOTELY = Remembered(Mode.AUTO, HERE), Remembered(Mode.AUTO, B)
CASES = [
    Case("nothing is known", HERE),
    Case("a remote system answers", A, api=A),
    Case("a remote system does not answer", HERE, api=A, answers=False, warns=True),
    Case("looking only, at one that does not answer", A, api=A, answers=False, may_fall_back=False),
    Case("local is asked for, though one answers", HERE, mode=Mode.LOCAL, api=A),
    Case("remote is asked for, though it may not answer", A, mode=Mode.REMOTE, api=A, answers=False),
    Case("remote is asked for, at the address it had", B, mode=Mode.REMOTE, remembered=REMOTELY),
    Case("it ran here before, and stays", HERE, api=A, remembered=LOCALLY),
    Case("it ran here before, and is asked to choose anew", A, mode=Mode.AUTO, api=A, remembered=LOCALLY),
    Case("it ran there before", B, remembered=REMOTELY),
    Case("it ran there before, and that is away", HERE, remembered=REMOTELY, answers=False, warns=True),
    Case("it ran there before: only there can one look", B, remembered=REMOTELY, answers=False, may_fall_back=False),
    Case("an address that is given comes before a remembered one", A, api=A, remembered=REMOTELY),
    Case("local was asked for before", HERE, api=A, remembered=Remembered(Mode.LOCAL, HERE)),
    Case("remote was asked for before", B, remembered=Remembered(Mode.REMOTE, B), answers=False),
    Case("a data folder that is given comes before what is remembered", HERE, remembered=REMOTELY, data_dir=Path("d")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_choice(case: Case) -> None:
    options = SystemOptions(case.data_dir, case.api, mode=case.mode)
    chosen = choose(options, case.remembered, lambda _: case.answers, may_fall_back=case.may_fall_back)
    assert chosen.address == case.expected
    assert chosen.place is (Place.LOCAL if case.expected is None else Place.REMOTE)
    assert (chosen.warning is not None) is case.warns


def test_remote_without_any_address_is_bad_input() -> None:
    with pytest.raises(InvalidInput, match="no address"):
        choose(SystemOptions(mode=Mode.REMOTE), LOCALLY, lambda _: True, may_fall_back=True)


def test_a_system_that_need_not_answer_is_not_asked() -> None:
    def unasked(_: str) -> bool:
        raise AssertionError

    for options in (SystemOptions(mode=Mode.LOCAL, api=A), SystemOptions(mode=Mode.REMOTE, api=A)):
        choose(options, None, unasked, may_fall_back=True)


def test_a_choice_is_found_by_the_episode_and_by_its_video(tmp_path: Path) -> None:
    memory = ExecutionMemory(tmp_path / "state")
    assert memory.recall(ep_id="show") is None
    memory.keep("show", REMOTELY, video="/videos/sh\udcffow.mp4")
    assert memory.recall(ep_id="show") == REMOTELY
    assert memory.recall(video="/videos/sh\udcffow.mp4") == REMOTELY
    assert memory.recall(ep_id="other", video="/videos/sh\udcffow.mp4") is None
    memory.keep("show", LOCALLY)
    assert memory.recall(video="/videos/sh\udcffow.mp4") == LOCALLY


def test_nothing_is_left_of_an_episode_that_is_forgotten(tmp_path: Path) -> None:
    memory = ExecutionMemory(tmp_path)
    memory.keep("show", REMOTELY, video="/videos/a.mp4")
    memory.keep("show", REMOTELY, video="/videos/b.mp4")
    memory.keep("other", LOCALLY, video="/videos/c.mp4")
    memory.forget("show")
    memory.forget("show")
    memory.forget("../episodes/other")
    left = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) == 2
    assert not [text for text in left if "show" in text or "a.mp4" in text or "b.mp4" in text]
    assert memory.recall(video="/videos/c.mp4") == LOCALLY


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"mode": "often"}', '{"mode": 3}', '{"mode": ["auto"]}', "\xff"]
)
def test_a_damaged_memory_is_none(tmp_path: Path, text: str) -> None:
    memory = ExecutionMemory(tmp_path)
    memory.keep("show", LOCALLY)
    (tmp_path / "episodes" / "show.json").write_text(text, encoding="latin-1")
    assert memory.recall(ep_id="show") is None


@pytest.mark.parametrize("ep_id", ["../../etc/passwd", "", "A", "a\0b", "x" * 500])
def test_a_name_that_is_none_is_not_looked_up(tmp_path: Path, ep_id: str) -> None:
    assert ExecutionMemory(tmp_path).recall(ep_id=ep_id) is None


def test_a_memory_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    ExecutionMemory(tmp_path / "state").keep("show", LOCALLY)


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({"XDG_STATE_HOME": "/srv/state"}, Path("/srv/state/screenalytics/execution")),
        ({"XDG_STATE_HOME": "relative"}, Path.home() / ".local/state/screenalytics/execution"),
        ({}, Path.home() / ".local/state/screenalytics/execution"),
    ],
)
def test_the_memory_lies_where_state_belongs(env: dict[str, str], folder: Path) -> None:
    assert ExecutionMemory.of_user(env)._folder == folder
