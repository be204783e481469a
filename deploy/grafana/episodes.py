"""What comes out, and what it costs."""

from __future__ import annotations

from deploy.grafana.panels import NS, STAGE, DashboardSpec, PanelSpec, recent

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
