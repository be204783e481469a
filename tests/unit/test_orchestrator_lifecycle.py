"""The table of states and moves, by itself."""

from __future__ import annotations

from services.orchestrator.lifecycle import ACTIVE, MOVED_BY, MOVES, TERMINAL, State


def test_nothing_moves_out_of_a_terminal_state() -> None:
    assert not {before for before, _ in MOVES} & TERMINAL


def test_every_active_state_can_fail_and_be_cancelled() -> None:
    for state in ACTIVE:
        assert (state, State.FAILED) in MOVES
        assert (state, State.CANCELLED) in MOVES


def test_every_state_is_active_or_terminal_and_not_both() -> None:
    assert set(State) == ACTIVE | TERMINAL
    assert not ACTIVE & TERMINAL


def test_every_state_but_the_first_can_be_reached() -> None:
    assert {after for _, after in MOVES} == set(State) - {State.WAITING}


def test_no_state_moves_to_itself() -> None:
    assert all(before is not after for before, after in MOVES)


def test_every_move_names_who_makes_it() -> None:
    assert set(MOVED_BY) == MOVES
