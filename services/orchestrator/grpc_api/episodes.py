"""Episodes, their status, artifacts, identities and exports."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.kit.artifacts import ArtifactKind
from services.kit.stages import Stage
from services.orchestrator.converters import (
    chunk_messages,
    episode_edit,
    if_match,
    message_of,
    required,
    values_of,
)
from services.orchestrator.core import Core
from services.orchestrator.episode_view import episode_shown, import_shown
from services.orchestrator.grpc_api.access import brought
from services.orchestrator.grpc_api.guard import Context
from services.orchestrator.paging import PageRequest
from services.orchestrator.sources import Place
from services.pb.screenalytics.v1 import api_pb2, api_pb2_grpc


class Episodes(api_pb2_grpc.EpisodesServicer):
    def __init__(self, core: Core) -> None:
        self._core = core

    async def RegisterEpisode(self, request: api_pb2.RegisterEpisodeRequest, _: Context) -> api_pb2.Episode:
        done = await self._core.sources.register(Place.model_validate(values_of(request)), brought())
        return message_of(api_pb2.Episode, episode_shown(done.episode))

    async def ListEpisodes(self, request: api_pb2.ListEpisodesRequest, _: Context) -> api_pb2.EpisodeList:
        asked = PageRequest(request.page_size, request.page_token)
        found = await self._core.episodes.page(asked, show_deleted=request.show_deleted)
        rows = [episode_shown(row) for row in found.items]
        shown = {"episodes": rows, "next_page_token": found.next_page_token}
        return message_of(api_pb2.EpisodeList, shown)

    async def GetEpisode(self, request: api_pb2.GetEpisodeRequest, _: Context) -> api_pb2.Episode:
        row = await self._core.episodes.get(request.ep_id, show_deleted=request.show_deleted)
        return message_of(api_pb2.Episode, episode_shown(row))

    async def UpdateEpisode(self, request: api_pb2.UpdateEpisodeRequest, _: Context) -> api_pb2.Episode:
        edit, mask = episode_edit(request)
        row = await self._core.episodes.edit(
            request.ep_id, edit, update_mask=mask, if_match=if_match(request.etag)
        )
        return message_of(api_pb2.Episode, episode_shown(row))

    async def GetEpisodeStatus(
        self, request: api_pb2.GetEpisodeStatusRequest, _: Context
    ) -> api_pb2.EpisodeStatus:
        episode = await self._core.episodes.get(request.ep_id)
        return message_of(api_pb2.EpisodeStatus, await self._core.records.status(episode))

    async def GetIdentities(self, request: api_pb2.GetIdentitiesRequest, _: Context) -> api_pb2.IdentityList:
        episode = await self._core.episodes.get(request.ep_id)
        return message_of(api_pb2.IdentityList, await self._core.records.identities(episode))

    async def ListArtifacts(self, request: api_pb2.ListArtifactsRequest, _: Context) -> api_pb2.ArtifactList:
        episode = await self._core.episodes.get(request.ep_id)
        shown = {"artifacts": await self._core.records.artifacts(episode)}
        return message_of(api_pb2.ArtifactList, shown)

    async def GetArtifact(
        self, request: api_pb2.GetArtifactRequest, _: Context
    ) -> AsyncIterator[api_pb2.FileChunk]:
        kind = ArtifactKind(required(request, "kind"))
        episode = await self._core.episodes.get(request.ep_id)
        async for chunk in chunk_messages(await self._core.downloads.artifact(episode, kind)):
            yield chunk

    async def ListExports(self, request: api_pb2.ListExportsRequest, _: Context) -> api_pb2.ExportList:
        form = values_of(request)["format"] or "jsonl"
        episode = await self._core.episodes.get(request.ep_id)
        shown = {"files": await self._core.downloads.export_names(episode, form)}
        return message_of(api_pb2.ExportList, shown)

    async def GetMarker(
        self, request: api_pb2.GetMarkerRequest, _: Context
    ) -> AsyncIterator[api_pb2.FileChunk]:
        stage = Stage(required(request, "stage"))
        episode = await self._core.episodes.get(request.ep_id)
        async for chunk in chunk_messages(await self._core.downloads.marker(episode, stage)):
            yield chunk

    async def GetExport(
        self, request: api_pb2.GetExportRequest, _: Context
    ) -> AsyncIterator[api_pb2.FileChunk]:
        episode = await self._core.episodes.get(request.ep_id)
        async for chunk in chunk_messages(await self._core.downloads.export(episode, request.name)):
            yield chunk

    async def ListImports(self, request: api_pb2.ListImportsRequest, _: Context) -> api_pb2.ImportedFileList:
        rows = await self._core.imports.list(await self._core.episodes.get(request.ep_id))
        return message_of(api_pb2.ImportedFileList, {"files": [import_shown(row) for row in rows]})

    async def EraseEpisode(self, request: api_pb2.EraseEpisodeRequest, _: Context) -> api_pb2.ErasureReceipt:
        return message_of(api_pb2.ErasureReceipt, await self._core.erasures.erase(request.ep_id))

    async def GetErasure(self, request: api_pb2.GetErasureRequest, _: Context) -> api_pb2.ErasureReceipt:
        return message_of(api_pb2.ErasureReceipt, await self._core.erasures.get(request.erasure_id))

    async def TrashEpisode(self, request: api_pb2.TrashEpisodeRequest, _: Context) -> api_pb2.TrashedEpisode:
        return message_of(api_pb2.TrashedEpisode, await self._core.erasures.trash(request.ep_id))

    async def RestoreEpisode(self, request: api_pb2.RestoreEpisodeRequest, _: Context) -> api_pb2.Episode:
        return message_of(api_pb2.Episode, episode_shown(await self._core.erasures.restore(request.ep_id)))
