"""What to do about a part that has ended: pure rules, no clocks and no processes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# The exit statuses of a part, as `kit.errors` gives them out.
BAD_INPUT_STATUS = 2
REFUSED_STATUS = 3

_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 10.0
_HEALTHY_AFTER_S = 30.0
# At start-up someone waits. Six tries span the time for which a killed server's children hold its memory.
_TRIES_BEFORE_FIRST_READY = 6


class Verdict(StrEnum):
    RESTART = "restart"
    REFUSE = "refuse"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Exit:
    """How one try at running a part ended.

    `status` is None if no process came about, `ready_for_s` if it never became ready; `was_overdue` if it
    was ended because it did not become ready in time.
    """

    status: int | None
    ready_for_s: float | None
    was_overdue: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a part's earlier processes."""

    was_ever_ready: bool = False
    failures_in_a_row: int = 0

    def after(self, exit: Exit) -> Record:
        """A process that was ready for long enough wipes the slate; its own end still counts as one failure."""
        was_healthy = exit.ready_for_s is not None and exit.ready_for_s >= _HEALTHY_AFTER_S
        return Record(
            was_ever_ready=self.was_ever_ready or exit.ready_for_s is not None,
            failures_in_a_row=1 if was_healthy else self.failures_in_a_row + 1,
        )


def judge(exit: Exit, record: Record, *, can_refuse: bool) -> Verdict:
    """`record` already counts `exit`. Once a part has been ready, only a refusal ends it for good."""
    if can_refuse and exit.status == REFUSED_STATUS:
        return Verdict.REFUSE
    if record.was_ever_ready:
        return Verdict.RESTART
    is_hopeless = exit.status in (None, BAD_INPUT_STATUS) or exit.was_overdue
    out_of_tries = record.failures_in_a_row >= _TRIES_BEFORE_FIRST_READY
    return Verdict.GIVE_UP if is_hopeless or out_of_tries else Verdict.RESTART


def restart_delay_s(record: Record) -> float:
    """Doubles with every failure in a row, from 0.2 s up to 10 s."""
    doublings = min(max(record.failures_in_a_row - 1, 0), 16)
    return float(min(_FIRST_DELAY_S * 2**doublings, _LONGEST_DELAY_S))
