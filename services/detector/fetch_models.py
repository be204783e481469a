"""`python -m services.detector.fetch_models`"""

import sys

from services.detector.settings import DetectorSettings
from services.kit.fetch_models import fetch_models
from services.kit.stages import STAGES, Stage

if __name__ == "__main__":
    sys.exit(fetch_models(DetectorSettings, STAGES[Stage.DETECT_TRACK].model_roles))
