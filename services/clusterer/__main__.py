"""`python -m services.clusterer`"""

import sys

from services.clusterer.app import serve
from services.clusterer.settings import ClustererSettings
from services.kit.process import run_service

if __name__ == "__main__":
    sys.exit(run_service(ClustererSettings, serve))
