"""`python -m services.embedder`"""

import sys

from services.embedder.app import serve
from services.embedder.settings import EmbedderSettings
from services.kit.process import run_service

if __name__ == "__main__":
    sys.exit(run_service(EmbedderSettings, serve))
