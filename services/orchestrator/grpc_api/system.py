"""Workers and profiles."""

from __future__ import annotations

from services.orchestrator.converters import message_of
from services.orchestrator.core import Core
from services.orchestrator.grpc_api.guard import Context
from services.orchestrator.profiles import profile_table
from services.pb.screenalytics.v1 import api_pb2, api_pb2_grpc


class System(api_pb2_grpc.SystemServicer):
    def __init__(self, core: Core) -> None:
        self._core = core

    async def ListWorkers(self, _request: api_pb2.ListWorkersRequest, _: Context) -> api_pb2.WorkerList:
        return message_of(api_pb2.WorkerList, {"workers": await self._core.registry.list()})

    async def ListProfiles(self, _request: api_pb2.ListProfilesRequest, _: Context) -> api_pb2.ProfileList:
        return message_of(api_pb2.ProfileList, profile_table(self._core.catalog))
