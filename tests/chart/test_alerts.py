"""Every alert fires when it should and is silent when it should not, judged by promtool."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, CollectorRegistry

import services.orchestrator.app  # noqa: F401 - registers the orchestrator's series
from services.kit.inference.placement import Provider
from services.kit.telemetry import WorkerMetrics
from tests.chart.helm import CHART, rendered
from tests.conftest import REPOSITORY, required_tool

RULES = [CHART / "files" / name for name in ("rules.yaml", "slos.yaml")]
GROUPS: list[dict[str, Any]] = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
RECORDED = {rule["record"] for group in GROUPS for rule in group["rules"] if "record" in rule}
# Series that others export, with their exporter.
FOREIGN = {
    "kube_horizontalpodautoscaler_status_current_replicas": "kube-state-metrics",
    "kube_horizontalpodautoscaler_spec_max_replicas": "kube-state-metrics",
}

Series = dict[str, str]


@dataclass(frozen=True)
class Case:
    """Series that make an alert fire at `at`, and series that leave it silent. One sample a minute."""

    at: str
    firing: Series
    silent: Series


ROUTE = 'namespace="m", stage="cluster", provider="cuda"'
RUNS = 'screenalytics_recent_stage_runs{namespace="m", stage="cluster", pod="%s", outcome="%s"}'
OLDEST = f"screenalytics_oldest_queued_task_seconds{{{ROUTE}}}"
HPA = 'namespace="m", horizontalpodautoscaler="keda-hpa-a"'
STATUS = f"kube_horizontalpodautoscaler_status_current_replicas{{{HPA}}}"
MOST = f"kube_horizontalpodautoscaler_spec_max_replicas{{{HPA}}}"
BUSY = 'screenalytics_gpu_busy_seconds_total{namespace="m", screenalytics_stage="cluster", pod="a"}'
QUEUED = f'screenalytics_tasks{{{ROUTE}, state="queued"}}'
INFO = (
    'screenalytics_inference_provider_info{namespace="m", pod="a", model="y", requested="%s", effective="%s"}'
)
REFUSED = 'screenalytics_worker_refusals_total{namespace="m", stage="cluster", reason="x"}'
FENCED = 'screenalytics_fenced_results_total{namespace="m", stage="cluster"}'
AGAIN = 'screenalytics_republished_tasks_total{namespace="m", stage="cluster"}'
CPU, CAP = 'screenalytics_cpu_seconds_total{pod="a"}', 'screenalytics_threads_cap{pod="a"}'

ANSWERS = 'screenalytics_http_requests_total{namespace="m", method="GET", status="%s"}'


def dead(pod: str) -> str:
    return f'screenalytics_dead_letters{{namespace="m", stage="cluster", pod="{pod}"}}'


def runs(**outcomes: int) -> Series:
    """Two replicas that read the same rows."""
    return {RUNS % (pod, outcome): f"{n}x60" for pod in "ab" for outcome, n in outcomes.items()}


def ended(**pace: int) -> Series:
    """So many jobs a minute, all of one replica."""
    name = 'screenalytics_jobs_ended_total{namespace="m", pod="a", outcome="%s"}'
    return {name % outcome: f"0+{count}x1900" for outcome, count in pace.items()}


def started(*, in_time: int, late: int) -> Series:
    series = "screenalytics_job_start_seconds"
    return {
        f'{series}_bucket{{namespace="m", le="300.0"}}': f"0+{in_time}x1900",
        f'{series}_count{{namespace="m"}}': f"0+{in_time + late}x1900",
    }


CASES = {
    "ScreenalyticsProviderMismatch": Case(
        "20m",
        {INFO % ("cuda", "none"): "1x60"},
        {INFO % ("cuda", "cuda"): "1x60", INFO % ("cpu", "cpu"): "1x60"},
    ),
    "ScreenalyticsWorkersRefused": Case("20m", {REFUSED: "_x14 1x60"}, {REFUSED: "3x60"}),
    "ScreenalyticsThreadsOverCap": Case("30m", {CPU: "0+240x60", CAP: "2x60"}, {CPU: "0+120x60", CAP: "2x60"}),
    "ScreenalyticsGpuIdleWithBacklog": Case(
        "30m", {BUSY: "0+1x60", QUEUED: "3x60"}, {BUSY: "0+50x60", QUEUED: "3x60"}
    ),
    "ScreenalyticsBacklogAge": Case("20m", {OLDEST: "2000x60"}, {OLDEST: "1700x60"}),
    "ScreenalyticsScalerAtMax": Case(
        "40m", {STATUS: "4x60", MOST: "4x60", OLDEST: "900x60"}, {STATUS: "4x60", MOST: "4x60", OLDEST: "60x60"}
    ),
    "ScreenalyticsOutboxStuck": Case(
        "10m",
        {'screenalytics_outbox_oldest_seconds{namespace="m"}': "90x60"},
        {'screenalytics_outbox_oldest_seconds{namespace="m"}': "3x60"},
    ),
    "ScreenalyticsDeadLetters": Case(
        "70m",
        {dead("a"): "2x60 3x30", dead("b"): "2x60 3x30"},
        {dead("a"): "2x90", dead("b"): "2x90"},
    ),
    "ScreenalyticsRedeliveries": Case("20m", {AGAIN: "0+1x60"}, {AGAIN: "9x60"}),
    "ScreenalyticsFencedResults": Case("20m", {FENCED: "0+1x60"}, {FENCED: "0x10 1x60"}),
    "ScreenalyticsStageFailures": Case(
        "10m", runs(succeeded=6, failed=2, cancelled=0), runs(succeeded=6, failed=1, cancelled=9)
    ),
    "ScreenalyticsZeroRowRate": Case("10m", runs(succeeded=2, zero_rows=3), runs(succeeded=1, zero_rows=3)),
    "ScreenalyticsApiErrorBudget": Case(
        "70m",
        {ANSWERS % "2xx": "0+97x90", ANSWERS % "5xx": "0+3x90"},
        {ANSWERS % "2xx": "0+999x90", ANSWERS % "5xx": "0+1x90"},
    ),
    "ScreenalyticsApiErrorBudgetSlow": Case(
        "30h",
        {ANSWERS % "2xx": "0+995x1900", ANSWERS % "5xx": "0+5x1900"},
        {ANSWERS % "2xx": "0+9999x1900", ANSWERS % "5xx": "0+5x1900"},
    ),
    "ScreenalyticsStartTimeBudget": Case("70m", started(in_time=1, late=9), started(in_time=8, late=2)),
    "ScreenalyticsStartTimeBudgetSlow": Case("30h", started(in_time=8, late=2), started(in_time=98, late=2)),
    "ScreenalyticsJobSuccessBudget": Case("70m", ended(succeeded=8, failed=2), ended(succeeded=10, refused=9)),
    "ScreenalyticsJobSuccessBudgetSlow": Case(
        "30h", ended(succeeded=95, failed=5), ended(succeeded=999, failed=5)
    ),
    "ScreenalyticsOrchestratorAbsent": Case(
        "10m", {"screenalytics_tasks": "1x60"}, {'screenalytics_outbox_rows{pod="a"}': "0x60"}
    ),
}


def test_every_alert_has_a_firing_and_a_silent_case() -> None:
    assert set(CASES) == set(ALERTS)


def _written(folder: Path, series: Series, at: str, name: str, *, fires: bool) -> Path:
    """A test of promtool's own; that an alert fires is looked for by name alone, in the series `ALERTS`."""
    query = f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)'
    test = {
        "rule_files": [str(path) for path in RULES],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": key, "values": value} for key, value in series.items()],
                "promql_expr_test": [
                    {"expr": query, "eval_time": at, "exp_samples": [{"labels": "{}", "value": int(fires)}]}
                ],
            }
        ],
    }
    path = folder / f"{name}-{fires}.yaml"
    path.write_text(yaml.safe_dump(test))
    return path


@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires_when_it_should_and_is_silent_when_it_should_not(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    files = [
        _written(tmp_path, case.firing, case.at, name, fires=True),
        _written(tmp_path, case.silent, case.at, name, fires=False),
    ]
    done = subprocess.run(
        [required_tool("promtool"), "test", "rules", *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_rules() -> None:
    done = subprocess.run(
        [required_tool("promtool"), "check", "rules", "--lint-fatal", *map(str, RULES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def exported() -> set[str]:
    """Names of the series of an orchestrator and a worker, as Prometheus stores them."""
    worker = WorkerMetrics(thread_cap=1)
    worker.expect(["any"], Provider.CUDA)
    registries: list[CollectorRegistry] = [REGISTRY, worker.registry]
    names: set[str] = set()
    for registry in registries:
        for metric in registry.collect():
            if metric.name.startswith("screenalytics_"):
                suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
                names |= {metric.name + suffix for suffix in suffixes.get(metric.type, [""])}
    return names


def test_every_series_of_a_rule_is_exported_by_us_or_by_a_known_other() -> None:
    own = exported()
    for group in GROUPS:
        for rule in group["rules"]:
            named = set(re.findall(r"\b(?:screenalytics|kube|jetstream|keda)_\w+(?=[{\[ )]|$)", rule["expr"]))
            assert named - {"screenalytics_stage"} <= own | set(FOREIGN), rule
            recorded = set(re.findall(r"\bscreenalytics:[\w:]+", rule["expr"]))
            assert recorded <= RECORDED


def test_gauges_that_every_replica_reads_are_joined_by_max() -> None:
    from services.orchestrator import gauges

    shared = [
        getattr(gauges, name)._name
        for name in ("TASKS", "OLDEST_QUEUED", "OUTBOX_OLDEST", "DEAD_LETTERS", "RECENT_RUNS")
    ]
    for group in GROUPS:
        for rule in group["rules"]:
            for name in shared:
                for found in re.finditer(rf"(.{{0,60}}){name}\b", rule["expr"]):
                    assert re.search(r"max by \([^)]*\) \($", found[1]), rule


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_severity_a_summary_and_a_runbook_of_four_parts(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    runbook = REPOSITORY / rule["annotations"]["runbook_url"]
    assert runbook.stem == name.removeprefix("Screenalytics")
    headings = re.findall(r"^## (.+)$", runbook.read_text(), re.MULTILINE)
    assert headings == ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def test_every_runbook_belongs_to_an_alert() -> None:
    runbooks = {path.stem for path in (REPOSITORY / "docs" / "runbooks").glob("*.md")}
    assert runbooks == {name.removeprefix("Screenalytics") for name in ALERTS}


def test_the_chart_ships_the_rules_and_points_runbooks_to_the_operators_address() -> None:
    def shipped(values: str) -> Any:
        return rendered(values).of("PrometheusRule")[0]["spec"]["groups"]

    assert shipped("everything") == GROUPS
    urls = {
        rule["annotations"]["runbook_url"]
        for g in shipped("production")
        for rule in g["rules"]
        if "alert" in rule
    }
    assert urls == {
        f"https://runbooks.example.com/screenalytics/{name.removeprefix('Screenalytics')}.md" for name in ALERTS
    }
