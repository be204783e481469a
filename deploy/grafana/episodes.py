"""What comes out, and what it costs."""

from __future__ import annotations

from deploy.grafana.panels import NS, PRICE, STAGE, DashboardSpec, NumberSpec, PanelSpec, recent

EPISODE_HOURS = f'(sum(increase(screenalytics_video_seconds_total{{{NS}, stage="cluster"}}[1h])) / 3600 > 0)'
GPUS_HELD = f'avg_over_time(count(count by (namespace, pod) (screenalytics_inference_provider_info{{{NS}, effective="cuda", runtime="onnxruntime"}} == 1))[1h:1m])'

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
            "Stale results",
            "Of the newest thousand episodes, those whose result of the stage is stale: something it was made from has changed.",
            "short",
            ((f"max by (stage) (screenalytics_stale_episodes{{{NS}}})", STAGE),),
        ),
        PanelSpec(
            "Video worked through",
            "Hours of video that each stage has worked through within the last hour; reused results do not count.",
            "h",
            ((f"sum by (stage) (increase(screenalytics_video_seconds_total{{{NS}}}[1h])) / 3600", STAGE),),
        ),
        PanelSpec(
            "Screen time found",
            "Hours of screen time of the identities that clustering has found within the last hour.",
            "h",
            ((f"sum(increase(screenalytics_screen_time_seconds_total{{{NS}}}[1h])) / 3600", "screen time"),),
        ),
        PanelSpec(
            "GPU seconds of an hour of video",
            "Time for which workers had an inference call on a GPU, over the hours of video that were clustered in the same hour.",
            "s",
            ((f"sum(increase(screenalytics_gpu_busy_seconds_total{{{NS}}}[1h])) / {EPISODE_HOURS}", "busy"),),
        ),
        PanelSpec(
            "GPUs of an hour of video, and their price",
            "GPU hours that workers held, busy or not, over the hours of video that were clustered; and that times the price above. GPUs of a Triton are not counted.",
            "short",
            (
                (f"{GPUS_HELD} / {EPISODE_HOURS}", "GPU hours"),
                (f"{GPUS_HELD} / {EPISODE_HOURS} * {PRICE}", "price"),
            ),
        ),
        PanelSpec(
            "Models in use",
            "Workers by model and licence: which weights made the results.",
            "short",
            ((f"count by (model, licence) (screenalytics_model_info{{{NS}}})", "{{model}} ({{licence}})"),),
        ),
    ),
    numbers=(NumberSpec("gpu_hour_price", "Price of a GPU hour", "1.00"),),
)
