"""Settings of the detector."""

from services.kit.settings import WorkerSettings


class DetectorSettings(WorkerSettings):
    pass
