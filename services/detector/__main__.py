"""`python -m services.detector`"""

import sys

from services.detector.app import serve
from services.detector.settings import DetectorSettings
from services.kit.process import run_service

if __name__ == "__main__":
    sys.exit(run_service(DetectorSettings, serve))
