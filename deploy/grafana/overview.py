"""Is it well? The page that is looked at first, with the objectives."""

from __future__ import annotations

from deploy.grafana.panels import ENDED, NS, RATE, DashboardSpec, PanelSpec, recent
from deploy.helm.slos import GRPC_FAULTS, OBJECTIVES


def _share_without(bad: str, every: str) -> str:
    """The bad may have no series yet, and the good none at all: both are to be shown."""
    return f"1 - ({bad} or 0 * {every}) / ({every} > 0)"


def _calls(function: str, window: str, *, faults: bool) -> str:
    """Of both transports."""
    http, code = (', status="5xx"', f', code=~"{GRPC_FAULTS}"') if faults else ("", "")
    return (
        f"sum by (namespace) ({function}(screenalytics_http_requests_total{{{NS}{http}}}[{window}])"
        f" or {function}(screenalytics_grpc_calls_total{{{NS}{code}}}[{window}]))"
    )


def _ended(outcomes: str) -> str:
    selector = f'{NS}, outcome=~"{outcomes}"'
    return f"sum by (namespace) (increase(screenalytics_jobs_ended_total{{{selector}}}[1d]))"


OVERVIEW = DashboardSpec(
    "overview",
    "Screenalytics / Overview",
    "Is it well: are episodes taken, worked on and done?",
    (
        PanelSpec(
            "Requests that are answered",
            "Share of the requests of the last day, over HTTP and gRPC, that did not fail by the system's fault. Objective: 99.9 %.",
            "percentunit",
            (
                (
                    _share_without(
                        _calls("increase", "1d", faults=True), _calls("increase", "1d", faults=False)
                    ),
                    "{{namespace}}",
                ),
            ),
            is_stat=True,
        ),
        PanelSpec(
            "Jobs that succeed",
            "Share of the jobs of the last day that did not fail; cancelled and refused ones are not counted. Objective: 99 %.",
            "percentunit",
            ((_share_without(_ended("failed"), _ended("succeeded|failed")), "{{namespace}}"),),
            is_stat=True,
        ),
        PanelSpec(
            "Jobs that start in time",
            "Share of the jobs of the last day that a worker started within five minutes. Objective: 95 %.",
            "percentunit",
            (
                (
                    f'sum by (namespace) (increase(screenalytics_job_start_seconds_bucket{{{NS}, le=~"300(\\\\.0)?"}}[1d])) / (sum by (namespace) (increase(screenalytics_job_start_seconds_count{{{NS}}}[1d])) > 0)',
                    "{{namespace}}",
                ),
            ),
            is_stat=True,
        ),
        PanelSpec(
            "Runs that succeed",
            "Share of the stage runs of the last hour that did not fail; cancelled ones are not counted.",
            "percentunit",
            ((f"1 - sum by (namespace) ({recent('failed')}) / ({ENDED} > 0)", "{{namespace}}"),),
            is_stat=True,
        ),
        PanelSpec(
            "Longest wait",
            "Age of the oldest task that no worker is at: from submit to start, at its worst.",
            "s",
            ((f"max by (namespace) (screenalytics_oldest_queued_task_seconds{{{NS}}})", "{{namespace}}"),),
            is_stat=True,
        ),
        PanelSpec(
            "Models elsewhere than asked",
            "Models that execute elsewhere than on the provider that was asked for. Anything but 0 is a fault.",
            "short",
            (
                (
                    f'count(screenalytics_inference_provider_info{{{NS}, requested="cuda", effective!="cuda"}} == 1) or vector(0)',
                    "",
                ),
            ),
            is_stat=True,
        ),
        PanelSpec(
            "Alerts",
            "Alerts of this chart that fire now.",
            "short",
            (('count(ALERTS{alertname=~"Screenalytics.+", alertstate="firing"}) or vector(0)', ""),),
            is_stat=True,
        ),
        PanelSpec(
            "Requests",
            "Requests to the API by kind of answer; probes and scrapes are not counted.",
            "reqps",
            (
                (
                    f"sum by (status) (rate(screenalytics_http_requests_total{{{NS}}}[{RATE}]))",
                    "{{status}}",
                ),
            ),
        ),
        PanelSpec(
            "Requests that fail",
            "Share of answers, over HTTP and gRPC, that are the system's fault. More than 0.1 % over a month breaks the objective.",
            "percentunit",
            (
                (
                    f"{_calls('rate', RATE, faults=True)} / {_calls('rate', RATE, faults=False)}",
                    "{{namespace}}",
                ),
            ),
        ),
        PanelSpec(
            "gRPC calls",
            "Calls to the gRPC API that have ended, by code.",
            "reqps",
            ((f"sum by (code) (rate(screenalytics_grpc_calls_total{{{NS}}}[{RATE}]))", "{{code}}"),),
        ),
        PanelSpec(
            "Refused calls",
            "Calls that were refused within the hour, by code, and refusals that the audit log had no room for.",
            "short",
            (
                (f"sum by (code) (increase(screenalytics_access_refusals_total{{{NS}}}[1h]))", "{{code}}"),
                (
                    f"sum(increase(screenalytics_audit_entries_dropped_total{{{NS}}}[1h]))",
                    "not in the audit log",
                ),
            ),
        ),
        PanelSpec(
            "Time of an answer",
            "Ninety-ninth percentile of the time until an answer begins, by operation. Exemplars lead to traces.",
            "s",
            (
                (
                    f"histogram_quantile(0.99, sum by (le, operation) (rate(screenalytics_http_request_duration_seconds_bucket{{{NS}}}[{RATE}])))",
                    "{{operation}}",
                ),
            ),
        ),
        PanelSpec(
            "Pace of the error budgets",
            "How fast each objective's budget of a month burns, over an hour; 1 uses it up in the month (recording rules of the chart).",
            "short",
            tuple(
                (f"{one.ratio('1h')}{{{NS}}} / {one.budget}", one.name.replace("_", " ")) for one in OBJECTIVES
            ),
        ),
        PanelSpec(
            "From submit to start",
            "Median and ninety-fifth percentile of the time from a job's submit to the first claim of a task.",
            "s",
            tuple(
                (
                    f"histogram_quantile({q}, sum by (le) (rate(screenalytics_job_start_seconds_bucket{{{NS}}}[{RATE}])))",
                    f"p{int(q * 100)}",
                )
                for q in (0.5, 0.95)
            ),
        ),
        PanelSpec(
            "Tasks",
            "Live tasks by state: what waits, and what is in work.",
            "short",
            (
                (
                    f"sum by (state) (max by (namespace, stage, provider, state) (screenalytics_tasks{{{NS}}}))",
                    "{{state}}",
                ),
            ),
        ),
        PanelSpec(
            "Tasks that end",
            "Tasks that workers end, by outcome. `retry` and `handed_back` are tried again.",
            "ops",
            ((f"sum by (outcome) (rate(screenalytics_worker_tasks_total{{{NS}}}[{RATE}]))", "{{outcome}}"),),
        ),
    ),
)
