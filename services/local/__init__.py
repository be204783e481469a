"""A whole Screenalytics system on one machine: embedded PostgreSQL and nats-server, and the services."""

from services.local.data_dir import default_data_dir, write_atomically
from services.local.handle import SystemHandle, start_system, stop_system
from services.local.settings import LocalSettings
from services.local.state import PartState, PartStatus, SystemState, read_state

__all__ = [
    "LocalSettings",
    "PartState",
    "PartStatus",
    "SystemHandle",
    "SystemState",
    "default_data_dir",
    "read_state",
    "start_system",
    "stop_system",
    "write_atomically",
]
