"""The objectives as rules of Prometheus: how fast each error budget burns, in several windows, and its alerts.

Multi-window, multi-burn-rate alerts (Google, The Site Reliability Workbook, chapter 5): a month's budget burns
at the pace 1. A page at 14.4 (2 % of it in an hour) or 6 (5 % in six), a ticket at 3 (10 % in a day) or 1 (10 %
in three). The short window of a pair ends an alert soon after its cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import indent
from typing import Any

import yaml

Rule = dict[str, Any]

_FAST = ((14.4, "1h", "5m"), (6.0, "6h", "30m"))
_SLOW = ((3.0, "1d", "2h"), (1.0, "3d", "6h"))
_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_SUM = "sum by (namespace)"
_HTTP_FAULTS = 'screenalytics_http_requests_total{status="5xx"}'
# Codes of gRPC that are the system's fault, as 5xx is.
GRPC_FAULTS = "INTERNAL|UNAVAILABLE|UNKNOWN|DEADLINE_EXCEEDED|DATA_LOSS"
_GRPC_FAULTS = f'screenalytics_grpc_calls_total{{code=~"{GRPC_FAULTS}"}}'
_SHARE = "{{ $value | humanizePercentage }}"
_HEAD = "# Made by deploy/helm/slos.py: make docs.\n"


@dataclass(frozen=True)
class Objective:
    """A share of `target` of all events is to be good in thirty days.

    `missed`: the share that is not, over the window `W`. It is made of what is bad, since what is good may have
    no series at all. `all_` selects the counter of all events; fewer than `at_least` in the longer window prove
    nothing.
    """

    name: str
    alert: str
    missed: str
    all_: str
    target: float
    summary: str
    at_least: int = 0

    @property
    def budget(self) -> float:
        return round(1 - self.target, 6)

    def ratio(self, window: str) -> str:
        return f"screenalytics:{self.name}_missed:ratio{window}"

    def count(self, window: str) -> str:
        return f"screenalytics:{self.name}_all:increase{window}"


OBJECTIVES = (
    Objective(
        "api_availability",
        "ApiErrorBudget",
        missed=f"{_SUM} (rate({_HTTP_FAULTS}[W]) or rate({_GRPC_FAULTS}[W]))"
        f" / {_SUM} (rate(screenalytics_http_requests_total[W]) or rate(screenalytics_grpc_calls_total[W]))",
        all_="screenalytics_http_requests_total",
        target=0.999,
        summary="of the requests to the API fail",
    ),
    Objective(
        "job_start",
        "StartTimeBudget",
        missed=f'1 - {_SUM} (rate(screenalytics_job_start_seconds_bucket{{le=~"300(\\\\.0)?"}}[W]))'
        f" / {_SUM} (rate(screenalytics_job_start_seconds_count[W]))",
        all_="screenalytics_job_start_seconds_count",
        target=0.95,
        summary="of the jobs wait for more than five minutes until a worker starts them",
        at_least=10,
    ),
    Objective(
        "job_success",
        "JobSuccessBudget",
        missed=f'{_SUM} (rate(screenalytics_jobs_ended_total{{outcome="failed"}}[W]))'
        f' / {_SUM} (rate(screenalytics_jobs_ended_total{{outcome=~"succeeded|failed"}}[W]))',
        all_='screenalytics_jobs_ended_total{outcome=~"succeeded|failed"}',
        target=0.99,
        summary="of the jobs fail, and not by what they were given",
        at_least=10,
    ),
)


def rules() -> str:
    groups = [
        {
            "name": f"screenalytics-slo-{one.name.replace('_', '-')}",
            "rules": [*_recorded(one), *_alerts(one)],
        }
        for one in OBJECTIVES
    ]
    # Indented as those of rules.yaml are, which the chart puts them behind.
    return f"{_HEAD}groups:\n{indent(yaml.safe_dump(groups, sort_keys=False, width=10_000), '  ')}"


def _recorded(one: Objective) -> Iterator[Rule]:
    for window in _WINDOWS:
        yield {"record": one.ratio(window), "expr": one.missed.replace("[W]", f"[{window}]")}
    if one.at_least:
        for window in (long for _, long, _ in (*_FAST, *_SLOW)):
            yield {
                "record": one.count(window),
                "expr": f"{_SUM} (increase({one.all_}[{window}]))",
            }


def _alerts(one: Objective) -> Iterator[Rule]:
    for name, severity, pairs in (
        (one.alert, "critical", _FAST),
        (f"{one.alert}Slow", "warning", _SLOW),
    ):
        yield {
            "alert": f"Screenalytics{name}",
            "expr": " or ".join(_burns(one, *pair) for pair in pairs),
            "labels": {"severity": severity},
            "annotations": {
                "summary": f"{_SHARE} {one.summary}: the month's error budget burns",
                "runbook_url": f"docs/runbooks/{name}.md",
            },
        }


def _burns(one: Objective, pace: float, long: str, short: str) -> str:
    limit = f"{pace * one.budget:.6g}"
    enough = f" and {one.count(long)} >= {one.at_least}" if one.at_least else ""
    return f"({one.ratio(long)} > {limit} and {one.ratio(short)} > {limit}{enough})"
