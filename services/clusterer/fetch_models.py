"""`python -m services.clusterer.fetch_models`: the embedder is only named, as the space of the embeddings."""

import sys

from services.clusterer.settings import ClustererSettings
from services.kit.fetch_models import fetch_models

if __name__ == "__main__":
    sys.exit(fetch_models(ClustererSettings, ("similarity",)))
