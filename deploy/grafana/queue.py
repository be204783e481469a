"""Whether work reaches the workers, once and in time."""

from __future__ import annotations

from deploy.grafana.panels import NS, ROUTE, STAGE, DashboardSpec, PanelSpec

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
            "Webhooks",
            "Tries to send an event to a webhook within the hour, by outcome.",
            "short",
            (
                (
                    f"sum by (outcome) (increase(screenalytics_webhook_attempts_total{{{NS}}}[1h]))",
                    "{{outcome}}",
                ),
            ),
        ),
        PanelSpec(
            "Dead letters",
            "Tasks that were given up, since ever.",
            "short",
            ((f"max by (stage) (screenalytics_dead_letters{{{NS}}})", STAGE),),
        ),
    ),
)
