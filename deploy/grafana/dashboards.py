"""What each dashboard asks: five pages, each panel with its unit, its sentence and its expressions.

`NS` stands where a selector names the namespace. Gauges that every replica reads from Postgres are joined by `max`.
"""

from __future__ import annotations

from dataclasses import dataclass

NS = 'namespace=~"$namespace"'
RATE = "$__rate_interval"
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
class DashboardSpec:
    uid: str
    title: str
    description: str
    panels: tuple[PanelSpec, ...]


def recent(outcome: str) -> str:
    selector = f'{NS}, outcome="{outcome}"'
    return f"max by (namespace, stage) (screenalytics_recent_stage_runs{{{selector}}})"


ENDED = f'sum by (namespace) (max by (namespace, stage, outcome) (screenalytics_recent_stage_runs{{{NS}, outcome!="cancelled"}}))'

OVERVIEW = DashboardSpec(
    "overview",
    "Screenalytics / Overview",
    "Is it well: are episodes taken, worked on and done?",
    (
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
            "Share of answers that are the system's fault. More than 0.1 % over a month breaks the objective.",
            "percentunit",
            (
                (
                    f'sum by (namespace) (rate(screenalytics_http_requests_total{{{NS}, status="5xx"}}[{RATE}])) / sum by (namespace) (rate(screenalytics_http_requests_total{{{NS}}}[{RATE}]))',
                    "{{namespace}}",
                ),
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
ACCELERATORS = DashboardSpec(
    "accelerators",
    "Screenalytics / Accelerators",
    "Does each model execute where it was asked to, and are the GPUs of use?",
    (
        PanelSpec(
            "Asked for, and true",
            "Models by requested and effective provider; `none` executes nowhere.",
            "short",
            (
                (
                    f"count by (requested, effective, runtime) (screenalytics_inference_provider_info{{{NS}}} == 1)",
                    "{{requested}} -> {{effective}} by {{runtime}}",
                ),
            ),
        ),
        PanelSpec(
            "Nodes off the GPU",
            "Graph nodes of models on CUDA workers that another provider executes; shape arithmetic alone is expected.",
            "short",
            (
                (
                    f'sum by (model, provider) (screenalytics_inference_nodes{{{NS}, provider!~"CUDA.*|Tensorrt.*"}})',
                    "{{model}} {{provider}}",
                ),
            ),
        ),
        PanelSpec(
            "GPU busy with us",
            "Share of time for which a worker had an inference call on its GPU.",
            "percentunit",
            ((f"rate(screenalytics_gpu_busy_seconds_total{{{NS}}}[{RATE}])", "{{pod}}"),),
        ),
        PanelSpec(
            "GPU utilisation",
            "What the GPU itself says, of the pods of this namespace (DCGM exporter).",
            "percent",
            ((f"DCGM_FI_DEV_GPU_UTIL{{{NS}}}", "{{pod}} GPU {{gpu}}"),),
        ),
        PanelSpec(
            "GPU memory",
            "Memory of the GPU in use (DCGM exporter).",
            "decmbytes",
            ((f"DCGM_FI_DEV_FB_USED{{{NS}}}", "{{pod}} GPU {{gpu}}"),),
        ),
        PanelSpec(
            "Threads against the cap",
            "CPU use over the cap on compute threads; above 1 the cap does not reach some pool.",
            "percentunit",
            (
                (
                    f"rate(screenalytics_cpu_seconds_total{{{NS}}}[{RATE}]) / screenalytics_threads_cap{{{NS}}}",
                    "{{pod}}",
                ),
            ),
        ),
        PanelSpec(
            "Threads",
            "All threads of a worker and its children, waiting ones too.",
            "short",
            ((f"screenalytics_threads{{{NS}}}", "{{pod}}"),),
        ),
        PanelSpec(
            "Refused starts",
            "Workers that refused to start in the last hour, by reason.",
            "short",
            (
                (
                    f"sum by (stage, reason) (increase(screenalytics_worker_refusals_total{{{NS}}}[1h]))",
                    "{{stage}} {{reason}}",
                ),
            ),
        ),
    ),
)
QUEUE = DashboardSpec(
    "queue",
    "Screenalytics / Queue and delivery",
    "Does work reach the workers, once and in time?",
    (
        PanelSpec(
            "Waiting tasks",
            "Tasks that no worker is at, by route.",
            "short",
            ((f'max by (stage, provider) (screenalytics_tasks{{{NS}, state="queued"}})', ROUTE),),
        ),
        PanelSpec(
            "Oldest waiting task",
            "How long the oldest of them waits.",
            "s",
            ((f"max by (stage, provider) (screenalytics_oldest_queued_task_seconds{{{NS}}})", ROUTE),),
        ),
        PanelSpec(
            "Lag of the consumers",
            "Pending and unacknowledged messages of each task consumer (NATS exporter): what KEDA scales on.",
            "short",
            (
                (
                    'sum by (consumer_name) (jetstream_consumer_num_pending{stream_name="TASKS"} + jetstream_consumer_num_ack_pending{stream_name="TASKS"})',
                    "{{consumer_name}}",
                ),
            ),
        ),
        PanelSpec(
            "Replicas",
            "Replicas of each scaled worker, and the most it may have (kube-state-metrics).",
            "short",
            (
                (
                    f'kube_horizontalpodautoscaler_status_current_replicas{{{NS}, horizontalpodautoscaler=~"keda-hpa-.+"}}',
                    "{{horizontalpodautoscaler}}",
                ),
                (
                    f'kube_horizontalpodautoscaler_spec_max_replicas{{{NS}, horizontalpodautoscaler=~"keda-hpa-.+"}}',
                    "most of {{horizontalpodautoscaler}}",
                ),
            ),
        ),
        PanelSpec(
            "Outbox",
            "Messages that Postgres holds and NATS does not have yet.",
            "short",
            ((f"max by (namespace) (screenalytics_outbox_rows{{{NS}}})", "{{namespace}}"),),
        ),
        PanelSpec(
            "Oldest message of the outbox",
            "Above a few seconds, sending is stuck.",
            "s",
            ((f"max by (namespace) (screenalytics_outbox_oldest_seconds{{{NS}}})", "{{namespace}}"),),
        ),
        PanelSpec(
            "Published again",
            "Live tasks whose message was gone from NATS, and was published again.",
            "short",
            ((f"sum by (stage) (increase(screenalytics_republished_tasks_total{{{NS}}}[1h]))", STAGE),),
        ),
        PanelSpec(
            "Fenced results",
            "Results of attempts that no longer counted: work that was done twice.",
            "short",
            ((f"sum by (stage) (increase(screenalytics_fenced_results_total{{{NS}}}[1h]))", STAGE),),
        ),
        PanelSpec(
            "Dead letters",
            "Tasks that were given up, since ever.",
            "short",
            ((f"max by (stage) (screenalytics_dead_letters{{{NS}}})", STAGE),),
        ),
    ),
)
EPISODES = DashboardSpec(
    "episodes",
    "Screenalytics / Episodes",
    "What comes out?",
    (
        PanelSpec(
            "Runs of the last hour",
            "Stage runs that ended within the last hour, by outcome.",
            "short",
            (
                (
                    f"sum by (outcome) (max by (namespace, stage, outcome) (screenalytics_recent_stage_runs{{{NS}}}))",
                    "{{outcome}}",
                ),
            ),
            wide=True,
        ),
        PanelSpec(
            "Runs that find nothing",
            "Share of a stage's runs of the last hour that succeeded with zero rows.",
            "percentunit",
            (
                (
                    f"{recent('zero_rows')} / (sum by (namespace, stage) (max by (namespace, stage, outcome) (screenalytics_recent_stage_runs{{{NS}}})) > 0)",
                    STAGE,
                ),
            ),
        ),
        PanelSpec(
            "GPU seconds of a run",
            "GPU time of all workers over the clustered episodes of the last hour: what an episode costs.",
            "s",
            (
                (
                    f'sum(increase(screenalytics_gpu_busy_seconds_total{{{NS}}}[1h])) / (max(screenalytics_recent_stage_runs{{{NS}, stage="cluster", outcome="succeeded"}}) > 0)',
                    "",
                ),
            ),
        ),
        PanelSpec(
            "Models in use",
            "Workers by model and licence: which weights made the results.",
            "short",
            ((f"count by (model, licence) (screenalytics_model_info{{{NS}}})", "{{model}} ({{licence}})"),),
        ),
    ),
)

DASHBOARDS = (OVERVIEW, STAGES, ACCELERATORS, QUEUE, EPISODES)
