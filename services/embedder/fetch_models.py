"""`python -m services.embedder.fetch_models`"""

import sys

from services.embedder.settings import EmbedderSettings
from services.kit.fetch_models import fetch_models
from services.kit.stages import STAGES, Stage

if __name__ == "__main__":
    sys.exit(fetch_models(EmbedderSettings, STAGES[Stage.FACES_EMBED].model_roles))
