"""Settings of the clusterer."""

from services.kit.settings import WorkerSettings


class ClustererSettings(WorkerSettings):
    pass
