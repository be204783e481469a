"""Writes `state-machine.md`: `python docs/generate_state_machine.py > docs/state-machine.md`."""

from __future__ import annotations

from collections.abc import Iterator

from services.orchestrator.lifecycle import ACTIVE, MOVED_BY, MOVES, TERMINAL, State

_HEAD = """# States of jobs and stage runs

One table, `services/orchestrator/lifecycle.py`. The same stands in Postgres, where a trigger refuses every
other move; a test holds the two equal.
"""
_TAIL = """
A job's own moves follow from those of its stage runs, under the job's row lock: it is queued and runs with
its first run, succeeds with its last, and fails or is cancelled with any.

Each move is an event of the job with its `seq`, in the same transaction, and ends in the stream of
`GET /v1/jobs/{job_id}/events`.

## Tasks and attempts

A stage run is made of tasks, a task of attempts. Both have fewer states, held by checks in Postgres:

```mermaid
stateDiagram-v2
state "task: live" as live
state "task: done" as done
state "task: dead" as dead
state "task: cancelled" as cancelled
[*] --> live
live --> done: the first success, from any attempt
live --> dead: rejected, or attempts used up
live --> cancelled: the job was cancelled or has failed
```

```mermaid
stateDiagram-v2
state "attempt: open" as open
[*] --> open: claimed, as the next generation
open --> succeeded
open --> rejected: no attempt can succeed
open --> retry: this one failed
open --> handed_back: a drain, which counts as no attempt
open --> fenced: it no longer counted when its result came
open --> abandoned: its task is over, and its worker was not heard of again
```"""


def diagram() -> Iterator[str]:
    yield "```mermaid\nstateDiagram-v2"
    yield f"    [*] --> {State.WAITING}"
    yield from (f"    {before} --> {after}" for before, after in _ordered())
    yield from (f"    {state} --> [*]" for state in State if state in TERMINAL)
    yield "```"


def table() -> Iterator[str]:
    """Raises `KeyError` for a move of which nobody says who makes it."""
    yield "\n| from | to | who, and when |\n|---|---|---|"
    yield "| | `waiting` | `Jobs.submit`: the job and all its stage runs are written |"
    yield from (f"| `{a}` | `{b}` | {MOVED_BY[a, b]} |" for a, b in _ordered())


def states() -> str:
    active, ended = (", ".join(f"`{s}`" for s in State if s in group) for group in (ACTIVE, TERMINAL))
    return f"\nActive: {active}; at most one active run of a stage per episode. Ended, for good: {ended}."


def _ordered() -> list[tuple[State, State]]:
    order = list(State)
    return sorted(MOVES, key=lambda move: (order.index(move[0]), order.index(move[1])))


if __name__ == "__main__":
    print(_HEAD)
    print("\n".join(diagram()))
    print(states())
    print("\n".join(table()))
    print(_TAIL)
