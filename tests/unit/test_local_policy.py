from __future__ import annotations

import pytest

from services.local.policy import Exit, Record, Verdict, judge, restart_delay_s

CRASH = Exit(status=1, ready_for_s=None)


def after(*exits: Exit) -> Record:
    record = Record()
    for ended in exits:
        record = record.after(ended)
    return record


def test_delays_double_from_a_fifth_of_a_second_up_to_ten_seconds() -> None:
    delays = [restart_delay_s(after(*[CRASH] * failures)) for failures in range(1, 9)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_a_delay_stays_finite_after_a_night_of_crashes() -> None:
    assert restart_delay_s(Record(failures_in_a_row=100_000)) == 10.0


@pytest.mark.parametrize(("ready_for_s", "failures"), [(29.9, 4), (30.0, 1)])
def test_half_a_minute_of_health_wipes_the_slate(ready_for_s: float, failures: int) -> None:
    assert after(CRASH, CRASH, CRASH, Exit(1, ready_for_s)).failures_in_a_row == failures


def test_only_a_part_that_may_refuse_is_taken_at_its_word() -> None:
    refusal = Exit(status=3, ready_for_s=None)
    assert judge(refusal, after(refusal), can_refuse=True) is Verdict.REFUSE
    assert judge(refusal, after(refusal), can_refuse=False) is Verdict.RESTART


def test_a_worker_whose_gpu_vanished_while_it_ran_refuses_too() -> None:
    refusal = Exit(status=3, ready_for_s=100.0)
    assert judge(refusal, after(refusal), can_refuse=True) is Verdict.REFUSE


@pytest.mark.parametrize(
    "hopeless", [Exit(2, None), Exit(None, None), Exit(-9, None, was_overdue=True)], ids=str
)
def test_what_another_try_cannot_mend_ends_the_start_at_once(hopeless: Exit) -> None:
    assert judge(hopeless, after(hopeless), can_refuse=False) is Verdict.GIVE_UP


def test_crashes_end_the_start_at_the_sixth() -> None:
    verdicts = [judge(CRASH, after(*[CRASH] * tries), can_refuse=False) for tries in range(1, 7)]
    assert verdicts == [Verdict.RESTART] * 5 + [Verdict.GIVE_UP]


@pytest.mark.parametrize(
    "ended", [CRASH, Exit(2, None), Exit(None, None), Exit(0, 1.0), Exit(-9, 1.0)], ids=str
)
def test_a_part_that_has_been_ready_is_never_given_up(ended: Exit) -> None:
    record = after(Exit(-9, 5.0), *[ended] * 50)
    assert judge(ended, record, can_refuse=True) is Verdict.RESTART
