"""Where the time of each stage goes."""

from __future__ import annotations

from deploy.grafana.panels import NS, RATE, ROUTE, DashboardSpec, PanelSpec

STAGES = DashboardSpec(
    "stages",
    "Screenalytics / Stages",
    "Where does the time go?",
    (
        PanelSpec(
            "Time of a task",
            "Median and ninety-fifth percentile of the wall time of tasks, by kind.",
            "s",
            tuple(
                (
                    f"histogram_quantile({q}, sum by (le, kind) (rate(screenalytics_worker_task_duration_seconds_bucket{{{NS}}}[{RATE}])))",
                    f"{{{{kind}}}} p{int(q * 100)}",
                )
                for q in (0.5, 0.95)
            ),
        ),
        PanelSpec(
            "Tasks in work",
            "Tasks that a worker is at, by stage and provider: how many workers are of use.",
            "short",
            ((f'max by (stage, provider) (screenalytics_tasks{{{NS}, state="in_work"}})', ROUTE),),
        ),
        PanelSpec(
            "Time of an inference call",
            "Ninety-fifth percentile of the wall time of calls, by model and where it executes.",
            "s",
            (
                (
                    f"histogram_quantile(0.95, sum by (le, model, provider) (rate(screenalytics_inference_duration_seconds_bucket{{{NS}}}[{RATE}])))",
                    "{{model}} {{provider}}",
                ),
            ),
        ),
        PanelSpec(
            "Items of a call",
            "Mean number of items in a call: small batches leave a GPU idle.",
            "short",
            (
                (
                    f"sum by (model) (rate(screenalytics_inference_batch_size_sum{{{NS}}}[{RATE}])) / sum by (model) (rate(screenalytics_inference_batch_size_count{{{NS}}}[{RATE}]))",
                    "{{model}}",
                ),
            ),
        ),
        PanelSpec(
            "CPU",
            "Cores that workers and their decoders use.",
            "short",
            ((f"sum by (pod) (rate(screenalytics_cpu_seconds_total{{{NS}}}[{RATE}]))", "{{pod}}"),),
        ),
        PanelSpec(
            "Tasks a worker ends",
            "Tasks that ended with success, by pod: a pod far below its kin is throttled.",
            "ops",
            (
                (
                    f'sum by (pod) (rate(screenalytics_worker_tasks_total{{{NS}, outcome="succeeded"}}[{RATE}]))',
                    "{{pod}}",
                ),
            ),
        ),
    ),
)
