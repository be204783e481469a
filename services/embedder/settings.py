"""Settings of the embedder."""

from services.kit.settings import WorkerSettings


class EmbedderSettings(WorkerSettings):
    pass
