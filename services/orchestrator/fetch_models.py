"""`python -m services.orchestrator.fetch_models`: the catalog alone, since no model runs here."""

import sys

from services.kit.fetch_models import fetch_models
from services.orchestrator.settings import OrchestratorSettings

if __name__ == "__main__":
    sys.exit(fetch_models(OrchestratorSettings, ()))
