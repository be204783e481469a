"""Where models execute, and how busy the GPUs are."""

from __future__ import annotations

from deploy.grafana.panels import NS, RATE, DashboardSpec, PanelSpec

_BUSY = f"rate(screenalytics_gpu_busy_seconds_total{{{NS}}}[{RATE}])"


def _of_our_pods(series: str) -> str:
    """A series of the DCGM exporter. Prometheus calls the pod on the GPU `exported_pod` unless it honours labels."""
    named = series
    for label in ("pod", "namespace"):
        named = f'label_replace({named}, "{label}", "$1", "exported_{label}", "(.+)")'
    return f"{named} and on (namespace, pod) screenalytics_threads_cap{{{NS}}}"


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
                    f'sum by (model, provider) (screenalytics_inference_nodes{{{NS}, provider!~"CUDA.*|Tensorrt.*"}} and on (namespace, pod, model) screenalytics_inference_provider_info{{{NS}, requested="cuda"}})',
                    "{{model}} {{provider}}",
                ),
            ),
        ),
        PanelSpec(
            "GPU busy with us",
            "Share of time for which a worker had an inference call on its GPU.",
            "percentunit",
            ((_BUSY, "{{pod}}"),),
        ),
        PanelSpec(
            "GPU utilisation",
            "What the GPUs of our workers say themselves (DCGM exporter).",
            "percent",
            ((_of_our_pods("DCGM_FI_DEV_GPU_UTIL"), "{{pod}} GPU {{gpu}}"),),
        ),
        PanelSpec(
            "GPU busy without us",
            "What a GPU says of itself (DCGM exporter), less the share of time with a call of ours: far above 0 somebody else is on it, far below 0 our calls wait for something else than the GPU.",
            "percentunit",
            (
                (
                    f"max by (namespace, pod) ({_of_our_pods('DCGM_FI_DEV_GPU_UTIL')}) / 100 - on (namespace, pod) sum by (namespace, pod) ({_BUSY})",
                    "{{pod}}",
                ),
            ),
        ),
        PanelSpec(
            "GPU memory",
            "Memory in use of the GPUs of our workers (DCGM exporter).",
            "decmbytes",
            ((_of_our_pods("DCGM_FI_DEV_FB_USED"), "{{pod}} GPU {{gpu}}"),),
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
