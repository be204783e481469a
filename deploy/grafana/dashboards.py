"""The dashboards, in their order."""

from __future__ import annotations

from deploy.grafana.accelerators import ACCELERATORS
from deploy.grafana.episodes import EPISODES
from deploy.grafana.overview import OVERVIEW
from deploy.grafana.queue import QUEUE
from deploy.grafana.stages import STAGES

DASHBOARDS = (OVERVIEW, STAGES, ACCELERATORS, QUEUE, EPISODES)
