"""The metrics that every worker exports."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.kit.messages import ModelPlacement
from services.kit.threads import process_cpu_seconds, process_threads


class _ProcessCollector(Collector):
    """Threads and CPU time, read when scraped."""

    def __init__(self, thread_cap: int) -> None:
        self._thread_cap = thread_cap

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "screenalytics_threads_cap", "Upper bound of compute threads.", self._thread_cap
        )
        yield GaugeMetricFamily("screenalytics_threads", "Threads of this process.", process_threads())
        yield CounterMetricFamily(
            "screenalytics_cpu_seconds", "CPU time of this process and its children.", process_cpu_seconds()
        )


class WorkerMetrics:
    """Prometheus series of one worker process, in a registry of its own."""

    def __init__(self, *, thread_cap: int) -> None:
        self.registry = CollectorRegistry()
        self._provider = Gauge(
            "screenalytics_inference_provider_info",
            "Where each model executes, requested and effective.",
            ["model", "requested", "effective", "runtime", "device"],
            registry=self.registry,
        )
        self._nodes = Gauge(
            "screenalytics_inference_nodes",
            "Graph nodes per execution provider.",
            ["model", "provider"],
            registry=self.registry,
        )
        self.registry.register(_ProcessCollector(thread_cap))
        self.tasks = Counter(
            "screenalytics_worker_tasks",
            "Tasks ended by this worker, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.task_seconds = Histogram(
            "screenalytics_worker_task_duration_seconds",
            "Wall time of tasks.",
            ["kind"],
            buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600),
            registry=self.registry,
        )

    def place(self, model: ModelPlacement) -> None:
        self._provider.labels(model.model, model.requested, model.effective, model.runtime, model.device).set(1)
        for provider, count in model.nodes.items():
            self._nodes.labels(model.model, provider).set(count)
