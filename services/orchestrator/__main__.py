"""`python -m services.orchestrator`"""

import sys

from services.kit.process import run_service
from services.orchestrator.app import serve
from services.orchestrator.settings import OrchestratorSettings

if __name__ == "__main__":
    sys.exit(run_service(OrchestratorSettings, serve))
