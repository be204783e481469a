"""Where models execute, and how busy the GPUs are."""

from __future__ import annotations

from deploy.grafana.panels import NS, RATE, DashboardSpec, PanelSpec

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
