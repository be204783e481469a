"""What a panel and a dashboard are: titles, units, sentences and expressions.

`NS` stands where a selector names the namespace. Gauges that every replica reads from Postgres are joined by `max`.
"""

from __future__ import annotations

from dataclasses import dataclass

NS = 'namespace=~"$namespace"'
RATE = "$__rate_interval"
PRICE = "$gpu_hour_price"
STAGE = "{{stage}}"
ROUTE = "{{stage}} {{provider}}"


@dataclass(frozen=True)
class PanelSpec:
    """`queries`: (expression, legend). `wide` takes the whole row."""

    title: str
    description: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    is_stat: bool = False
    wide: bool = False


@dataclass(frozen=True)
class NumberSpec:
    """A number that whoever looks types in, as the variable `name`."""

    name: str
    label: str
    default: str


@dataclass(frozen=True)
class DashboardSpec:
    uid: str
    title: str
    description: str
    panels: tuple[PanelSpec, ...]
    numbers: tuple[NumberSpec, ...] = ()


def recent(outcome: str) -> str:
    selector = f'{NS}, outcome="{outcome}"'
    return f"max by (namespace, stage) (screenalytics_recent_stage_runs{{{selector}}})"


ENDED = f'sum by (namespace) (max by (namespace, stage, outcome) (screenalytics_recent_stage_runs{{{NS}, outcome!="cancelled"}}))'
