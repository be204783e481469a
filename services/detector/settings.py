"""Settings of the detector."""

from services.kit.settings import DiskSettings, WorkerSettings


class DetectorSettings(WorkerSettings):
    disk: DiskSettings = DiskSettings()
