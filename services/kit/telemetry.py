"""The metrics that every worker exports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.kit import tracing
from services.kit.inference.placement import Provider
from services.kit.inference.session import Inference
from services.kit.messages import ModelPlacement
from services.kit.threads import process_cpu_seconds, process_threads

# The provider of a model that executes nowhere: not yet, or no longer.
NOWHERE = "none"


class _ProcessCollector(Collector):
    """Threads and CPU time, read when scraped."""

    def __init__(self, thread_cap: int) -> None:
        self._thread_cap = thread_cap

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "screenalytics_threads_cap", "Upper bound of compute threads.", self._thread_cap
        )
        yield GaugeMetricFamily(
            "screenalytics_threads", "Threads of this process and its children.", process_threads()
        )
        yield CounterMetricFamily(
            "screenalytics_cpu_seconds", "CPU time of this process and its children.", process_cpu_seconds()
        )


class _PlacementCollector(Collector):
    """Where each model executes, read when scraped, so that no series of an earlier place is left over."""

    def __init__(self) -> None:
        self.expected: dict[str, str] = {}  # model -> requested provider
        self.placements: Callable[[], Iterable[ModelPlacement]] = tuple
        self.is_lost = False

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "screenalytics_inference_provider_info",
            "Where each model executes, requested and effective.",
            labels=["model", "requested", "effective", "runtime", "device"],
        )
        nodes = GaugeMetricFamily(
            "screenalytics_inference_nodes",
            "Graph nodes per execution provider.",
            labels=["model", "provider"],
        )
        models = GaugeMetricFamily(
            "screenalytics_model_info",
            "The file of each model and its licence.",
            labels=["model", "sha256", "licence"],
        )
        placed = list(self.placements())
        for model in placed:
            effective = NOWHERE if self.is_lost else model.effective
            info.add_metric([model.model, model.requested, effective, model.runtime, model.device], 1)
            models.add_metric([model.model, model.sha256, model.licence], 1)
            for provider, count in model.nodes.items():
                nodes.add_metric([model.model, provider], count)
        for name in self.expected.keys() - {model.model for model in placed}:
            info.add_metric([name, self.expected[name], NOWHERE, "", ""], 1)
        yield from (info, nodes, models)


class WorkerMetrics:
    """Prometheus series of one worker process, in a registry of its own."""

    def __init__(self, *, thread_cap: int) -> None:
        self.registry = CollectorRegistry()
        self._places = _PlacementCollector()
        self.registry.register(_ProcessCollector(thread_cap))
        self.registry.register(self._places)
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
        self._batch_size = Histogram(
            "screenalytics_inference_batch_size",
            "Items per inference call.",
            ["model"],
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 512, 2048),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "screenalytics_inference_duration_seconds",
            "Wall time of inference calls.",
            ["model", "provider"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
            registry=self.registry,
        )
        self._gpu_busy = Counter(
            "screenalytics_gpu_busy_seconds",
            "Time for which this worker had an inference call on a GPU.",
            registry=self.registry,
        )

    def expect(self, models: Iterable[str], requested: Provider) -> None:
        """Models that are about to be opened execute nowhere yet."""
        self._places.expected = dict.fromkeys(models, str(requested))

    def follow(self, placements: Callable[[], Iterable[ModelPlacement]]) -> None:
        self._places.placements = placements

    def lose(self) -> None:
        """From now on no model executes anywhere."""
        self._places.is_lost = True

    def observe(self, inference: Inference) -> None:
        exemplar = tracing.exemplar()
        self._batch_size.labels(inference.model).observe(inference.items)
        self._seconds.labels(inference.model, inference.provider).observe(inference.seconds, exemplar)
        if inference.provider is Provider.CUDA:
            self._gpu_busy.inc(inference.seconds)
