"""The dashboards: fresh, complete, and about series that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.build import FOLDER, built
from deploy.grafana.dashboards import DASHBOARDS
from deploy.grafana.panels import NS, PRICE, RATE, DashboardSpec
from tests.chart.helm import rendered
from tests.chart.test_alerts import FOREIGN, exported
from tests.conftest import required_tool

# Series that others export, with their exporter.
OTHERS = FOREIGN | {
    "DCGM_FI_DEV_GPU_UTIL": "dcgm-exporter",
    "DCGM_FI_DEV_FB_USED": "dcgm-exporter",
    "jetstream_consumer_num_pending": "prometheus-nats-exporter",
    "jetstream_consumer_num_ack_pending": "prometheus-nats-exporter",
    "ALERTS": "Prometheus itself",
}
# Series of ours that no panel shows, with the reason.
UNSEEN = {
    "screenalytics_job_start_seconds_sum": "the panels show quantiles and a share",
    "screenalytics_http_request_duration_seconds_sum": "the panel shows a quantile",
    "screenalytics_http_request_duration_seconds_count": "counted by screenalytics_http_requests_total",
    "screenalytics_worker_task_duration_seconds_sum": "the panel shows quantiles",
    "screenalytics_worker_task_duration_seconds_count": "counted by screenalytics_worker_tasks_total",
    "screenalytics_inference_batch_size_bucket": "the panel shows the mean",
    "screenalytics_inference_duration_seconds_sum": "the panel shows a quantile",
    "screenalytics_inference_duration_seconds_count": "counted by screenalytics_inference_batch_size_count",
}


def expressions(spec: DashboardSpec) -> list[str]:
    """As Prometheus would be asked, with every variable filled in."""
    return [_asked(query) for panel in spec.panels for query, _ in panel.queries]


def first_expressions(spec: DashboardSpec) -> list[str]:
    """One of each panel."""
    return [_asked(panel.queries[0][0]) for panel in spec.panels]


def _asked(query: str) -> str:
    for variable, value in {RATE: "5m", NS: 'namespace=~".*"', PRICE: "1.00"}.items():
        query = query.replace(variable, value)
    return query


ALL = [expression for spec in DASHBOARDS for expression in expressions(spec)]


def series_in(expression: str) -> set[str]:
    without_labels = re.sub(r"\{[^}]*\}|\bby \([^)]*\)", "", expression)
    return set(re.findall(r"\b(?:screenalytics|kube|jetstream)_\w+|\bDCGM_\w+|\bALERTS\b", without_labels))


@pytest.mark.parametrize("spec", DASHBOARDS, ids=lambda spec: spec.uid)
def test_the_charts_dashboard_is_what_the_code_makes(spec: DashboardSpec) -> None:
    assert (FOLDER / f"{spec.uid}.json").read_text() == built(spec)


def test_there_are_no_other_dashboards() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {spec.uid for spec in DASHBOARDS}


@pytest.mark.parametrize("spec", DASHBOARDS, ids=lambda spec: spec.uid)
def test_every_panel_has_a_unit_a_sentence_and_a_question(spec: DashboardSpec) -> None:
    for panel in spec.panels:
        assert panel.unit
        assert panel.description.endswith(".")
        assert panel.queries
    assert len({panel.title for panel in spec.panels}) == len(spec.panels)


def test_every_series_of_a_panel_is_exported_by_us_or_by_a_known_other() -> None:
    named = {name for expression in ALL for name in series_in(expression)}
    assert named - exported() - set(OTHERS) == set()
    assert set(OTHERS) <= named, "the list names what no panel asks for"


def test_every_series_of_ours_stands_on_a_panel_or_in_the_list_of_those_that_need_none() -> None:
    shown = {name for expression in ALL for name in series_in(expression)}
    assert exported() - shown == set(UNSEEN)


def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(ALL)]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    argv = [required_tool("promtool"), "check", "rules", "--lint=none", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


BUSY = {
    'screenalytics_gpu_busy_seconds_total{namespace="m", pod="a"}': "0+30x30",
    'screenalytics_threads_cap{namespace="m", pod="a"}': "4x30",
}
ENDED = 'screenalytics_jobs_ended_total{namespace="m", outcome="%s"}'
NODES = 'screenalytics_inference_nodes{namespace="m", pod="%s", model="y", provider="CPUExecutionProvider"}'
ASKED = 'screenalytics_inference_provider_info{namespace="m", pod="%s", model="y", requested="%s"}'
# panel -> (series, one sample a minute, and the one value that it then shows)
SHOWN: dict[str, list[tuple[dict[str, str], float]]] = {
    "Requests that are answered": [
        ({'screenalytics_http_requests_total{namespace="m", status="2xx"}': "0+9x30"}, 1.0),
        ({'screenalytics_grpc_calls_total{namespace="m", code="UNAVAILABLE"}': "0+9x30"}, 0.0),
    ],
    "Jobs that succeed": [
        ({ENDED % "failed": "0+9x30"}, 0.0),
        ({ENDED % "succeeded": "0+9x30"}, 1.0),
        ({ENDED % "succeeded": "0+3x30", ENDED % "failed": "0+9x30"}, 0.25),
    ],
    # As Prometheus labels what an exporter says of another pod, and as it does with `honorLabels`.
    "GPU busy without us": [
        (
            BUSY
            | {
                'DCGM_FI_DEV_GPU_UTIL{namespace="gpus", pod="dcgm", exported_namespace="m", exported_pod="a"}': "75x30"
            },
            0.25,
        ),
        (BUSY | {'DCGM_FI_DEV_GPU_UTIL{namespace="m", pod="a"}': "75x30"}, 0.25),
    ],
    "Nodes off the GPU": [
        (
            {
                NODES % "a": "3x30",
                NODES % "b": "50x30",
                ASKED % ("a", "cuda"): "1x30",
                ASKED % ("b", "cpu"): "1x30",
            },
            3,
        )
    ],
}
SHOWN_CASES = [pytest.param(title, *case, id=title) for title, cases in SHOWN.items() for case in cases]


@pytest.mark.parametrize(("title", "series", "value"), SHOWN_CASES)
def test_a_panel_shows_what_its_sentence_says(
    title: str, series: dict[str, str], value: float, tmp_path: Path
) -> None:
    (asked,) = [
        expression
        for spec in DASHBOARDS
        for panel, expression in zip(spec.panels, first_expressions(spec), strict=True)
        if panel.title == title
    ]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            # Labels are of no interest here, and `sum` drops them.
            {
                "expr": f"round(sum({asked}), 0.001)",
                "eval_time": "20m",
                "exp_samples": [{"labels": "{}", "value": value}],
            }
        ],
    }
    path = tmp_path / "panel.yaml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}))
    argv = [required_tool("promtool"), "test", "rules", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_ships_each_dashboard_as_a_labelled_config_map() -> None:
    def shipped(values: str) -> dict[str, Any]:
        return {
            key: document
            for document in rendered(values).of("ConfigMap")
            for key in document.get("data", {})
            if key.endswith(".json")
        }

    assert set(shipped("production")) == {path.name for path in FOLDER.glob("*.json")}
    for name, document in shipped("everything").items():
        assert document["metadata"]["labels"]["dashboards"] == "yes"
        assert document["data"][name] == (FOLDER / name).read_text().rstrip("\n")
    assert not shipped("minimal")
