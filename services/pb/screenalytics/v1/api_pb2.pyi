import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_DETECT_TRACK: _ClassVar[Stage]
    STAGE_FACES_EMBED: _ClassVar[Stage]
    STAGE_CLUSTER: _ClassVar[Stage]

class JobKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_KIND_UNSPECIFIED: _ClassVar[JobKind]
    JOB_KIND_PIPELINE: _ClassVar[JobKind]
    JOB_KIND_DETECT_TRACK: _ClassVar[JobKind]
    JOB_KIND_FACES_EMBED: _ClassVar[JobKind]
    JOB_KIND_CLUSTER: _ClassVar[JobKind]

class Profile(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROFILE_UNSPECIFIED: _ClassVar[Profile]
    PROFILE_LOW_POWER: _ClassVar[Profile]
    PROFILE_BALANCED: _ClassVar[Profile]
    PROFILE_PERFORMANCE: _ClassVar[Profile]

class Device(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEVICE_UNSPECIFIED: _ClassVar[Device]
    DEVICE_CUDA: _ClassVar[Device]
    DEVICE_CPU: _ClassVar[Device]

class ExecutionMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXECUTION_MODE_UNSPECIFIED: _ClassVar[ExecutionMode]
    EXECUTION_MODE_AUTO: _ClassVar[ExecutionMode]
    EXECUTION_MODE_REMOTE: _ClassVar[ExecutionMode]
    EXECUTION_MODE_LOCAL: _ClassVar[ExecutionMode]

class ExecutionPlace(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXECUTION_PLACE_UNSPECIFIED: _ClassVar[ExecutionPlace]
    EXECUTION_PLACE_REMOTE: _ClassVar[ExecutionPlace]
    EXECUTION_PLACE_LOCAL: _ClassVar[ExecutionPlace]

class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_UNSPECIFIED: _ClassVar[State]
    STATE_WAITING: _ClassVar[State]
    STATE_QUEUED: _ClassVar[State]
    STATE_RUNNING: _ClassVar[State]
    STATE_SUCCEEDED: _ClassVar[State]
    STATE_FAILED: _ClassVar[State]
    STATE_CANCELLED: _ClassVar[State]
    STATE_SKIPPED: _ClassVar[State]

class PhaseState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_STATE_UNSPECIFIED: _ClassVar[PhaseState]
    PHASE_STATE_MISSING: _ClassVar[PhaseState]
    PHASE_STATE_QUEUED: _ClassVar[PhaseState]
    PHASE_STATE_RUNNING: _ClassVar[PhaseState]
    PHASE_STATE_SUCCESS: _ClassVar[PhaseState]
    PHASE_STATE_PARTIAL: _ClassVar[PhaseState]
    PHASE_STATE_STALE: _ClassVar[PhaseState]
    PHASE_STATE_FAILED: _ClassVar[PhaseState]
    PHASE_STATE_CANCELLED: _ClassVar[PhaseState]

class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_UNSPECIFIED: _ClassVar[Source]
    SOURCE_MARKER: _ClassVar[Source]
    SOURCE_OUTPUT: _ClassVar[Source]
    SOURCE_IMPORTED: _ClassVar[Source]
    SOURCE_ABSENT: _ClassVar[Source]

class StaleReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STALE_REASON_UNSPECIFIED: _ClassVar[StaleReason]
    STALE_REASON_INPUTS: _ClassVar[StaleReason]
    STALE_REASON_PARAMETERS: _ClassVar[StaleReason]
    STALE_REASON_MODELS: _ClassVar[StaleReason]
    STALE_REASON_ALGORITHM: _ClassVar[StaleReason]
    STALE_REASON_OLDER_THAN_INPUT: _ClassVar[StaleReason]
    STALE_REASON_OTHER_RUN: _ClassVar[StaleReason]
    STALE_REASON_INPUT_IS_STALE: _ClassVar[StaleReason]

class ArtifactKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ARTIFACT_KIND_UNSPECIFIED: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_SEGMENT_FRAMES: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_SEGMENT_DETECTIONS: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_SEGMENT_CHIPS: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_DETECTIONS: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_TRACKS: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_CHIPS: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_SCENES: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_FRAMES: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_CROPS: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_FACES: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_EMBEDDINGS: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_IDENTITIES: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_TRACK_METRICS: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_SCREEN_TIME: _ClassVar[ArtifactKind]

class ExportFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPORT_FORMAT_UNSPECIFIED: _ClassVar[ExportFormat]
    EXPORT_FORMAT_JSONL: _ClassVar[ExportFormat]
    EXPORT_FORMAT_CSV: _ClassVar[ExportFormat]

class WorkerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_STATE_UNSPECIFIED: _ClassVar[WorkerState]
    WORKER_STATE_READY: _ClassVar[WorkerState]
    WORKER_STATE_BUSY: _ClassVar[WorkerState]
    WORKER_STATE_DRAINING: _ClassVar[WorkerState]
    WORKER_STATE_REFUSED: _ClassVar[WorkerState]

class ErasureState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERASURE_STATE_UNSPECIFIED: _ClassVar[ErasureState]
    ERASURE_STATE_PENDING: _ClassVar[ErasureState]
    ERASURE_STATE_DONE: _ClassVar[ErasureState]

class ErasureReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERASURE_REASON_UNSPECIFIED: _ClassVar[ErasureReason]
    ERASURE_REASON_REQUESTED: _ClassVar[ErasureReason]
    ERASURE_REASON_TRASH: _ClassVar[ErasureReason]
    ERASURE_REASON_RETENTION: _ClassVar[ErasureReason]
STAGE_UNSPECIFIED: Stage
STAGE_DETECT_TRACK: Stage
STAGE_FACES_EMBED: Stage
STAGE_CLUSTER: Stage
JOB_KIND_UNSPECIFIED: JobKind
JOB_KIND_PIPELINE: JobKind
JOB_KIND_DETECT_TRACK: JobKind
JOB_KIND_FACES_EMBED: JobKind
JOB_KIND_CLUSTER: JobKind
PROFILE_UNSPECIFIED: Profile
PROFILE_LOW_POWER: Profile
PROFILE_BALANCED: Profile
PROFILE_PERFORMANCE: Profile
DEVICE_UNSPECIFIED: Device
DEVICE_CUDA: Device
DEVICE_CPU: Device
EXECUTION_MODE_UNSPECIFIED: ExecutionMode
EXECUTION_MODE_AUTO: ExecutionMode
EXECUTION_MODE_REMOTE: ExecutionMode
EXECUTION_MODE_LOCAL: ExecutionMode
EXECUTION_PLACE_UNSPECIFIED: ExecutionPlace
EXECUTION_PLACE_REMOTE: ExecutionPlace
EXECUTION_PLACE_LOCAL: ExecutionPlace
STATE_UNSPECIFIED: State
STATE_WAITING: State
STATE_QUEUED: State
STATE_RUNNING: State
STATE_SUCCEEDED: State
STATE_FAILED: State
STATE_CANCELLED: State
STATE_SKIPPED: State
PHASE_STATE_UNSPECIFIED: PhaseState
PHASE_STATE_MISSING: PhaseState
PHASE_STATE_QUEUED: PhaseState
PHASE_STATE_RUNNING: PhaseState
PHASE_STATE_SUCCESS: PhaseState
PHASE_STATE_PARTIAL: PhaseState
PHASE_STATE_STALE: PhaseState
PHASE_STATE_FAILED: PhaseState
PHASE_STATE_CANCELLED: PhaseState
SOURCE_UNSPECIFIED: Source
SOURCE_MARKER: Source
SOURCE_OUTPUT: Source
SOURCE_IMPORTED: Source
SOURCE_ABSENT: Source
STALE_REASON_UNSPECIFIED: StaleReason
STALE_REASON_INPUTS: StaleReason
STALE_REASON_PARAMETERS: StaleReason
STALE_REASON_MODELS: StaleReason
STALE_REASON_ALGORITHM: StaleReason
STALE_REASON_OLDER_THAN_INPUT: StaleReason
STALE_REASON_OTHER_RUN: StaleReason
STALE_REASON_INPUT_IS_STALE: StaleReason
ARTIFACT_KIND_UNSPECIFIED: ArtifactKind
ARTIFACT_KIND_SEGMENT_FRAMES: ArtifactKind
ARTIFACT_KIND_SEGMENT_DETECTIONS: ArtifactKind
ARTIFACT_KIND_SEGMENT_CHIPS: ArtifactKind
ARTIFACT_KIND_DETECTIONS: ArtifactKind
ARTIFACT_KIND_TRACKS: ArtifactKind
ARTIFACT_KIND_CHIPS: ArtifactKind
ARTIFACT_KIND_SCENES: ArtifactKind
ARTIFACT_KIND_FRAMES: ArtifactKind
ARTIFACT_KIND_CROPS: ArtifactKind
ARTIFACT_KIND_FACES: ArtifactKind
ARTIFACT_KIND_EMBEDDINGS: ArtifactKind
ARTIFACT_KIND_IDENTITIES: ArtifactKind
ARTIFACT_KIND_TRACK_METRICS: ArtifactKind
ARTIFACT_KIND_SCREEN_TIME: ArtifactKind
EXPORT_FORMAT_UNSPECIFIED: ExportFormat
EXPORT_FORMAT_JSONL: ExportFormat
EXPORT_FORMAT_CSV: ExportFormat
WORKER_STATE_UNSPECIFIED: WorkerState
WORKER_STATE_READY: WorkerState
WORKER_STATE_BUSY: WorkerState
WORKER_STATE_DRAINING: WorkerState
WORKER_STATE_REFUSED: WorkerState
ERASURE_STATE_UNSPECIFIED: ErasureState
ERASURE_STATE_PENDING: ErasureState
ERASURE_STATE_DONE: ErasureState
ERASURE_REASON_UNSPECIFIED: ErasureReason
ERASURE_REASON_REQUESTED: ErasureReason
ERASURE_REASON_TRASH: ErasureReason
ERASURE_REASON_RETENTION: ErasureReason

class RegisterEpisodeRequest(_message.Message):
    __slots__ = ("source_uri", "path", "sha256", "ep_id", "replace")
    SOURCE_URI_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    source_uri: str
    path: str
    sha256: str
    ep_id: str
    replace: bool
    def __init__(self, source_uri: _Optional[str] = ..., path: _Optional[str] = ..., sha256: _Optional[str] = ..., ep_id: _Optional[str] = ..., replace: _Optional[bool] = ...) -> None: ...

class ListEpisodesRequest(_message.Message):
    __slots__ = ("page_token", "page_size", "show_deleted")
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    SHOW_DELETED_FIELD_NUMBER: _ClassVar[int]
    page_token: str
    page_size: int
    show_deleted: bool
    def __init__(self, page_token: _Optional[str] = ..., page_size: _Optional[int] = ..., show_deleted: _Optional[bool] = ...) -> None: ...

class GetEpisodeRequest(_message.Message):
    __slots__ = ("ep_id", "show_deleted")
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    SHOW_DELETED_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    show_deleted: bool
    def __init__(self, ep_id: _Optional[str] = ..., show_deleted: _Optional[bool] = ...) -> None: ...

class UpdateEpisodeRequest(_message.Message):
    __slots__ = ("ep_id", "title", "labels", "update_mask", "etag")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    title: str
    labels: _containers.ScalarMap[str, str]
    update_mask: _field_mask_pb2.FieldMask
    etag: str
    def __init__(self, ep_id: _Optional[str] = ..., title: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class GetEpisodeStatusRequest(_message.Message):
    __slots__ = ("ep_id",)
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    def __init__(self, ep_id: _Optional[str] = ...) -> None: ...

class GetIdentitiesRequest(_message.Message):
    __slots__ = ("ep_id",)
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    def __init__(self, ep_id: _Optional[str] = ...) -> None: ...

class ListArtifactsRequest(_message.Message):
    __slots__ = ("ep_id",)
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    def __init__(self, ep_id: _Optional[str] = ...) -> None: ...

class GetArtifactRequest(_message.Message):
    __slots__ = ("ep_id", "kind")
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    kind: ArtifactKind
    def __init__(self, ep_id: _Optional[str] = ..., kind: _Optional[_Union[ArtifactKind, str]] = ...) -> None: ...

class ListExportsRequest(_message.Message):
    __slots__ = ("ep_id", "format")
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    format: ExportFormat
    def __init__(self, ep_id: _Optional[str] = ..., format: _Optional[_Union[ExportFormat, str]] = ...) -> None: ...

class GetMarkerRequest(_message.Message):
    __slots__ = ("ep_id", "stage")
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    stage: Stage
    def __init__(self, ep_id: _Optional[str] = ..., stage: _Optional[_Union[Stage, str]] = ...) -> None: ...

class GetExportRequest(_message.Message):
    __slots__ = ("ep_id", "name")
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    name: str
    def __init__(self, ep_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ListImportsRequest(_message.Message):
    __slots__ = ("ep_id",)
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    def __init__(self, ep_id: _Optional[str] = ...) -> None: ...

class EraseEpisodeRequest(_message.Message):
    __slots__ = ("ep_id",)
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    def __init__(self, ep_id: _Optional[str] = ...) -> None: ...

class GetErasureRequest(_message.Message):
    __slots__ = ("erasure_id",)
    ERASURE_ID_FIELD_NUMBER: _ClassVar[int]
    erasure_id: str
    def __init__(self, erasure_id: _Optional[str] = ...) -> None: ...

class TrashEpisodeRequest(_message.Message):
    __slots__ = ("ep_id",)
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    def __init__(self, ep_id: _Optional[str] = ...) -> None: ...

class RestoreEpisodeRequest(_message.Message):
    __slots__ = ("ep_id",)
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    def __init__(self, ep_id: _Optional[str] = ...) -> None: ...

class ErasureReceipt(_message.Message):
    __slots__ = ("erasure_id", "state", "reason", "ep_id_hash", "counts", "open_attempts", "unemptied_streams", "requested_at", "settled_at", "done_at")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ERASURE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EP_ID_HASH_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    OPEN_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    UNEMPTIED_STREAMS_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    SETTLED_AT_FIELD_NUMBER: _ClassVar[int]
    DONE_AT_FIELD_NUMBER: _ClassVar[int]
    erasure_id: str
    state: ErasureState
    reason: ErasureReason
    ep_id_hash: str
    counts: _containers.ScalarMap[str, int]
    open_attempts: int
    unemptied_streams: _containers.RepeatedScalarFieldContainer[str]
    requested_at: _timestamp_pb2.Timestamp
    settled_at: _timestamp_pb2.Timestamp
    done_at: _timestamp_pb2.Timestamp
    def __init__(self, erasure_id: _Optional[str] = ..., state: _Optional[_Union[ErasureState, str]] = ..., reason: _Optional[_Union[ErasureReason, str]] = ..., ep_id_hash: _Optional[str] = ..., counts: _Optional[_Mapping[str, int]] = ..., open_attempts: _Optional[int] = ..., unemptied_streams: _Optional[_Iterable[str]] = ..., requested_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., settled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., done_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TrashedEpisode(_message.Message):
    __slots__ = ("ep_id", "episode_uid", "trashed_at", "purge_at")
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    EPISODE_UID_FIELD_NUMBER: _ClassVar[int]
    TRASHED_AT_FIELD_NUMBER: _ClassVar[int]
    PURGE_AT_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    episode_uid: str
    trashed_at: _timestamp_pb2.Timestamp
    purge_at: _timestamp_pb2.Timestamp
    def __init__(self, ep_id: _Optional[str] = ..., episode_uid: _Optional[str] = ..., trashed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., purge_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Episode(_message.Message):
    __slots__ = ("ep_id", "episode_uid", "filename", "sha256", "size_bytes", "container", "created_at", "media_info", "title", "labels", "etag", "trashed_at", "purge_at", "media_removed_at")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    EPISODE_UID_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_INFO_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    TRASHED_AT_FIELD_NUMBER: _ClassVar[int]
    PURGE_AT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_REMOVED_AT_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    episode_uid: str
    filename: str
    sha256: str
    size_bytes: int
    container: str
    created_at: _timestamp_pb2.Timestamp
    media_info: MediaInfo
    title: str
    labels: _containers.ScalarMap[str, str]
    etag: str
    trashed_at: _timestamp_pb2.Timestamp
    purge_at: _timestamp_pb2.Timestamp
    media_removed_at: _timestamp_pb2.Timestamp
    def __init__(self, ep_id: _Optional[str] = ..., episode_uid: _Optional[str] = ..., filename: _Optional[str] = ..., sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., container: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., media_info: _Optional[_Union[MediaInfo, _Mapping]] = ..., title: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., etag: _Optional[str] = ..., trashed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., purge_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., media_removed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class MediaInfo(_message.Message):
    __slots__ = ("width", "height", "fps", "fps_num", "fps_den", "duration_s", "codec", "first_pts", "time_base_num", "time_base_den", "frames")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    FPS_NUM_FIELD_NUMBER: _ClassVar[int]
    FPS_DEN_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    FIRST_PTS_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_NUM_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_DEN_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    fps: float
    fps_num: int
    fps_den: int
    duration_s: float
    codec: str
    first_pts: int
    time_base_num: int
    time_base_den: int
    frames: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., fps: _Optional[float] = ..., fps_num: _Optional[int] = ..., fps_den: _Optional[int] = ..., duration_s: _Optional[float] = ..., codec: _Optional[str] = ..., first_pts: _Optional[int] = ..., time_base_num: _Optional[int] = ..., time_base_den: _Optional[int] = ..., frames: _Optional[int] = ...) -> None: ...

class EpisodeList(_message.Message):
    __slots__ = ("episodes", "next_page_token")
    EPISODES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    episodes: _containers.RepeatedCompositeFieldContainer[Episode]
    next_page_token: str
    def __init__(self, episodes: _Optional[_Iterable[_Union[Episode, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class EpisodeStatus(_message.Message):
    __slots__ = ("ep_id", "episode_uid", "phases", "faces_stale", "cluster_stale", "tracks_only_fallback", "execution_mode", "execution_place")
    class PhasesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: PhaseStatus
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[PhaseStatus, _Mapping]] = ...) -> None: ...
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    EPISODE_UID_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    FACES_STALE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_STALE_FIELD_NUMBER: _ClassVar[int]
    TRACKS_ONLY_FALLBACK_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_MODE_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_PLACE_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    episode_uid: str
    phases: _containers.MessageMap[str, PhaseStatus]
    faces_stale: bool
    cluster_stale: bool
    tracks_only_fallback: bool
    execution_mode: ExecutionMode
    execution_place: ExecutionPlace
    def __init__(self, ep_id: _Optional[str] = ..., episode_uid: _Optional[str] = ..., phases: _Optional[_Mapping[str, PhaseStatus]] = ..., faces_stale: _Optional[bool] = ..., cluster_stale: _Optional[bool] = ..., tracks_only_fallback: _Optional[bool] = ..., execution_mode: _Optional[_Union[ExecutionMode, str]] = ..., execution_place: _Optional[_Union[ExecutionPlace, str]] = ...) -> None: ...

class PhaseStatus(_message.Message):
    __slots__ = ("phase", "status", "source", "zero_rows", "manifest_exists", "last_run_at", "started_at", "finished_at", "runtime_s", "requested_device", "resolved_device", "stale_reason")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ZERO_ROWS_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_EXISTS_FIELD_NUMBER: _ClassVar[int]
    LAST_RUN_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_S_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_DEVICE_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_DEVICE_FIELD_NUMBER: _ClassVar[int]
    STALE_REASON_FIELD_NUMBER: _ClassVar[int]
    phase: Stage
    status: PhaseState
    source: Source
    zero_rows: bool
    manifest_exists: bool
    last_run_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    runtime_s: float
    requested_device: str
    resolved_device: str
    stale_reason: StaleReason
    def __init__(self, phase: _Optional[_Union[Stage, str]] = ..., status: _Optional[_Union[PhaseState, str]] = ..., source: _Optional[_Union[Source, str]] = ..., zero_rows: _Optional[bool] = ..., manifest_exists: _Optional[bool] = ..., last_run_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., runtime_s: _Optional[float] = ..., requested_device: _Optional[str] = ..., resolved_device: _Optional[str] = ..., stale_reason: _Optional[_Union[StaleReason, str]] = ...) -> None: ...

class IdentityList(_message.Message):
    __slots__ = ("ep_id", "identities", "stats")
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    identities: _containers.RepeatedCompositeFieldContainer[Identity]
    stats: _struct_pb2.Struct
    def __init__(self, ep_id: _Optional[str] = ..., identities: _Optional[_Iterable[_Union[Identity, _Mapping]]] = ..., stats: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Identity(_message.Message):
    __slots__ = ("identity_id", "label", "track_ids", "size", "cohesion", "rep_thumb_rel_path", "first_ts", "last_ts", "screen_time_s", "bridged_s")
    IDENTITY_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    TRACK_IDS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    COHESION_FIELD_NUMBER: _ClassVar[int]
    REP_THUMB_REL_PATH_FIELD_NUMBER: _ClassVar[int]
    FIRST_TS_FIELD_NUMBER: _ClassVar[int]
    LAST_TS_FIELD_NUMBER: _ClassVar[int]
    SCREEN_TIME_S_FIELD_NUMBER: _ClassVar[int]
    BRIDGED_S_FIELD_NUMBER: _ClassVar[int]
    identity_id: str
    label: str
    track_ids: _containers.RepeatedScalarFieldContainer[str]
    size: int
    cohesion: float
    rep_thumb_rel_path: str
    first_ts: float
    last_ts: float
    screen_time_s: float
    bridged_s: float
    def __init__(self, identity_id: _Optional[str] = ..., label: _Optional[str] = ..., track_ids: _Optional[_Iterable[str]] = ..., size: _Optional[int] = ..., cohesion: _Optional[float] = ..., rep_thumb_rel_path: _Optional[str] = ..., first_ts: _Optional[float] = ..., last_ts: _Optional[float] = ..., screen_time_s: _Optional[float] = ..., bridged_s: _Optional[float] = ...) -> None: ...

class ArtifactList(_message.Message):
    __slots__ = ("artifacts",)
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    artifacts: _containers.RepeatedCompositeFieldContainer[Artifact]
    def __init__(self, artifacts: _Optional[_Iterable[_Union[Artifact, _Mapping]]] = ...) -> None: ...

class Artifact(_message.Message):
    __slots__ = ("kind", "stage", "uri", "sha256", "size_bytes", "rows", "run_id", "created_at", "source", "location")
    KIND_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    kind: ArtifactKind
    stage: Stage
    uri: str
    sha256: str
    size_bytes: int
    rows: int
    run_id: str
    created_at: _timestamp_pb2.Timestamp
    source: str
    location: str
    def __init__(self, kind: _Optional[_Union[ArtifactKind, str]] = ..., stage: _Optional[_Union[Stage, str]] = ..., uri: _Optional[str] = ..., sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., rows: _Optional[int] = ..., run_id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[str] = ..., location: _Optional[str] = ...) -> None: ...

class FileChunk(_message.Message):
    __slots__ = ("data", "head")
    DATA_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    head: FileHead
    def __init__(self, data: _Optional[bytes] = ..., head: _Optional[_Union[FileHead, _Mapping]] = ...) -> None: ...

class FileHead(_message.Message):
    __slots__ = ("media_type", "size_bytes", "sha256")
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    media_type: str
    size_bytes: int
    sha256: str
    def __init__(self, media_type: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class ExportList(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, files: _Optional[_Iterable[str]] = ...) -> None: ...

class ImportedFileList(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[ImportedFile]
    def __init__(self, files: _Optional[_Iterable[_Union[ImportedFile, _Mapping]]] = ...) -> None: ...

class ImportedFile(_message.Message):
    __slots__ = ("name", "run_id", "stage", "sha256", "size_bytes", "rows", "modified_at", "imported_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    IMPORTED_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    run_id: str
    stage: Stage
    sha256: str
    size_bytes: int
    rows: int
    modified_at: _timestamp_pb2.Timestamp
    imported_at: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., run_id: _Optional[str] = ..., stage: _Optional[_Union[Stage, str]] = ..., sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., rows: _Optional[int] = ..., modified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., imported_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SubmitJobRequest(_message.Message):
    __slots__ = ("ep_id", "kind", "profile", "device", "allow_cpu_fallback", "acknowledge_zero_rows", "force", "overrides", "execution_mode", "execution_place", "request_id")
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_CPU_FALLBACK_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_ZERO_ROWS_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_MODE_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_PLACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    kind: JobKind
    profile: Profile
    device: Device
    allow_cpu_fallback: bool
    acknowledge_zero_rows: bool
    force: bool
    overrides: _struct_pb2.Struct
    execution_mode: ExecutionMode
    execution_place: ExecutionPlace
    request_id: str
    def __init__(self, ep_id: _Optional[str] = ..., kind: _Optional[_Union[JobKind, str]] = ..., profile: _Optional[_Union[Profile, str]] = ..., device: _Optional[_Union[Device, str]] = ..., allow_cpu_fallback: _Optional[bool] = ..., acknowledge_zero_rows: _Optional[bool] = ..., force: _Optional[bool] = ..., overrides: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., execution_mode: _Optional[_Union[ExecutionMode, str]] = ..., execution_place: _Optional[_Union[ExecutionPlace, str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("ep_id", "stage", "active", "page_size", "page_token")
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ep_id: str
    stage: Stage
    active: bool
    page_size: int
    page_token: str
    def __init__(self, ep_id: _Optional[str] = ..., stage: _Optional[_Union[Stage, str]] = ..., active: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class WaitJobRequest(_message.Message):
    __slots__ = ("job_id", "timeout_s")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    timeout_s: float
    def __init__(self, job_id: _Optional[str] = ..., timeout_s: _Optional[float] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("job_id", "etag")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    etag: str
    def __init__(self, job_id: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class RetryJobRequest(_message.Message):
    __slots__ = ("job_id", "request_id")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    request_id: str
    def __init__(self, job_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ResumeJobRequest(_message.Message):
    __slots__ = ("job_id", "request_id")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    request_id: str
    def __init__(self, job_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ExplainJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class ListLogsRequest(_message.Message):
    __slots__ = ("job_id", "quiet", "after", "limit")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    QUIET_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    quiet: bool
    after: int
    limit: int
    def __init__(self, job_id: _Optional[str] = ..., quiet: _Optional[bool] = ..., after: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("job_id", "after_seq")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    after_seq: int
    def __init__(self, job_id: _Optional[str] = ..., after_seq: _Optional[int] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("job_id", "ep_id", "episode_uid", "kind", "state", "profile", "requested_device", "allow_cpu_fallback", "force", "reused", "retry_of", "resume_of", "submitted_by", "execution_mode", "execution_place", "created_at", "started_at", "finished_at", "cancel_requested_at", "warnings", "error", "stages", "etag")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    EPISODE_UID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_DEVICE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_CPU_FALLBACK_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    RETRY_OF_FIELD_NUMBER: _ClassVar[int]
    RESUME_OF_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_BY_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_MODE_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_PLACE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    ep_id: str
    episode_uid: str
    kind: JobKind
    state: State
    profile: Profile
    requested_device: Device
    allow_cpu_fallback: bool
    force: bool
    reused: bool
    retry_of: str
    resume_of: str
    submitted_by: str
    execution_mode: ExecutionMode
    execution_place: ExecutionPlace
    created_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    cancel_requested_at: _timestamp_pb2.Timestamp
    warnings: _containers.RepeatedScalarFieldContainer[str]
    error: RunError
    stages: _containers.RepeatedCompositeFieldContainer[StageRun]
    etag: str
    def __init__(self, job_id: _Optional[str] = ..., ep_id: _Optional[str] = ..., episode_uid: _Optional[str] = ..., kind: _Optional[_Union[JobKind, str]] = ..., state: _Optional[_Union[State, str]] = ..., profile: _Optional[_Union[Profile, str]] = ..., requested_device: _Optional[_Union[Device, str]] = ..., allow_cpu_fallback: _Optional[bool] = ..., force: _Optional[bool] = ..., reused: _Optional[bool] = ..., retry_of: _Optional[str] = ..., resume_of: _Optional[str] = ..., submitted_by: _Optional[str] = ..., execution_mode: _Optional[_Union[ExecutionMode, str]] = ..., execution_place: _Optional[_Union[ExecutionPlace, str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancel_requested_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ..., error: _Optional[_Union[RunError, _Mapping]] = ..., stages: _Optional[_Iterable[_Union[StageRun, _Mapping]]] = ..., etag: _Optional[str] = ...) -> None: ...

class RunError(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class StageRun(_message.Message):
    __slots__ = ("run_id", "stage", "state", "provider", "requested_device", "resolved_device", "waiting_for", "skip_reason", "zero_rows", "counts", "warnings", "fingerprint", "error", "queued_at", "started_at", "finished_at", "runtime_s", "reused", "reused_run_id", "tasks_done", "tasks_total", "progress")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_DEVICE_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_DEVICE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    SKIP_REASON_FIELD_NUMBER: _ClassVar[int]
    ZERO_ROWS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    QUEUED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_S_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    REUSED_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASKS_DONE_FIELD_NUMBER: _ClassVar[int]
    TASKS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    stage: Stage
    state: State
    provider: Device
    requested_device: Device
    resolved_device: str
    waiting_for: str
    skip_reason: str
    zero_rows: bool
    counts: _containers.ScalarMap[str, int]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    fingerprint: str
    error: RunError
    queued_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    runtime_s: float
    reused: bool
    reused_run_id: str
    tasks_done: int
    tasks_total: int
    progress: Progress
    def __init__(self, run_id: _Optional[str] = ..., stage: _Optional[_Union[Stage, str]] = ..., state: _Optional[_Union[State, str]] = ..., provider: _Optional[_Union[Device, str]] = ..., requested_device: _Optional[_Union[Device, str]] = ..., resolved_device: _Optional[str] = ..., waiting_for: _Optional[str] = ..., skip_reason: _Optional[str] = ..., zero_rows: _Optional[bool] = ..., counts: _Optional[_Mapping[str, int]] = ..., warnings: _Optional[_Iterable[str]] = ..., fingerprint: _Optional[str] = ..., error: _Optional[_Union[RunError, _Mapping]] = ..., queued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., runtime_s: _Optional[float] = ..., reused: _Optional[bool] = ..., reused_run_id: _Optional[str] = ..., tasks_done: _Optional[int] = ..., tasks_total: _Optional[int] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("phase", "done", "total", "unit", "fraction", "rate", "fps", "eta_s", "at")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    ETA_S_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    phase: str
    done: float
    total: float
    unit: str
    fraction: float
    rate: float
    fps: float
    eta_s: float
    at: _timestamp_pb2.Timestamp
    def __init__(self, phase: _Optional[str] = ..., done: _Optional[float] = ..., total: _Optional[float] = ..., unit: _Optional[str] = ..., fraction: _Optional[float] = ..., rate: _Optional[float] = ..., fps: _Optional[float] = ..., eta_s: _Optional[float] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class JobList(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeadLetterList(_message.Message):
    __slots__ = ("dead_letters",)
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    dead_letters: _containers.RepeatedCompositeFieldContainer[DeadLetter]
    def __init__(self, dead_letters: _Optional[_Iterable[_Union[DeadLetter, _Mapping]]] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("task_id", "job_id", "stage", "kind", "ordinal", "attempts", "worker_id", "reason", "log_tail", "created_at")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LOG_TAIL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    job_id: str
    stage: Stage
    kind: str
    ordinal: int
    attempts: int
    worker_id: str
    reason: str
    log_tail: _containers.RepeatedScalarFieldContainer[str]
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, task_id: _Optional[str] = ..., job_id: _Optional[str] = ..., stage: _Optional[_Union[Stage, str]] = ..., kind: _Optional[str] = ..., ordinal: _Optional[int] = ..., attempts: _Optional[int] = ..., worker_id: _Optional[str] = ..., reason: _Optional[str] = ..., log_tail: _Optional[_Iterable[str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class JobWhy(_message.Message):
    __slots__ = ("job_id", "case", "sentence", "next_step")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    CASE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    NEXT_STEP_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    case: str
    sentence: str
    next_step: str
    def __init__(self, job_id: _Optional[str] = ..., case: _Optional[str] = ..., sentence: _Optional[str] = ..., next_step: _Optional[str] = ...) -> None: ...

class LogPage(_message.Message):
    __slots__ = ("lines", "next_after")
    LINES_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[LogLine]
    next_after: int
    def __init__(self, lines: _Optional[_Iterable[_Union[LogLine, _Mapping]]] = ..., next_after: _Optional[int] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("seq", "at", "stage", "level", "message", "is_noisy", "noise_rule", "attempt_id", "line", "logged_at")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    IS_NOISY_FIELD_NUMBER: _ClassVar[int]
    NOISE_RULE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    LOGGED_AT_FIELD_NUMBER: _ClassVar[int]
    seq: int
    at: _timestamp_pb2.Timestamp
    stage: Stage
    level: str
    message: str
    is_noisy: bool
    noise_rule: str
    attempt_id: str
    line: int
    logged_at: _timestamp_pb2.Timestamp
    def __init__(self, seq: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stage: _Optional[_Union[Stage, str]] = ..., level: _Optional[str] = ..., message: _Optional[str] = ..., is_noisy: _Optional[bool] = ..., noise_rule: _Optional[str] = ..., attempt_id: _Optional[str] = ..., line: _Optional[int] = ..., logged_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("state", "log", "progress", "end")
    STATE_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    state: StateChange
    log: LogLine
    progress: StageProgress
    end: JobEnd
    def __init__(self, state: _Optional[_Union[StateChange, _Mapping]] = ..., log: _Optional[_Union[LogLine, _Mapping]] = ..., progress: _Optional[_Union[StageProgress, _Mapping]] = ..., end: _Optional[_Union[JobEnd, _Mapping]] = ...) -> None: ...

class StateChange(_message.Message):
    __slots__ = ("seq", "at", "stage", "state", "reason")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    seq: int
    at: _timestamp_pb2.Timestamp
    stage: Stage
    state: State
    reason: str
    def __init__(self, seq: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stage: _Optional[_Union[Stage, str]] = ..., state: _Optional[_Union[State, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class StageProgress(_message.Message):
    __slots__ = ("stage", "phase", "done", "total", "unit", "fraction", "rate", "fps", "eta_s", "at")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    ETA_S_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    phase: str
    done: float
    total: float
    unit: str
    fraction: float
    rate: float
    fps: float
    eta_s: float
    at: _timestamp_pb2.Timestamp
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ..., phase: _Optional[str] = ..., done: _Optional[float] = ..., total: _Optional[float] = ..., unit: _Optional[str] = ..., fraction: _Optional[float] = ..., rate: _Optional[float] = ..., fps: _Optional[float] = ..., eta_s: _Optional[float] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class JobEnd(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: State
    def __init__(self, state: _Optional[_Union[State, str]] = ...) -> None: ...

class ListWorkersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProfilesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WorkerList(_message.Message):
    __slots__ = ("workers",)
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[Worker]
    def __init__(self, workers: _Optional[_Iterable[_Union[Worker, _Mapping]]] = ...) -> None: ...

class Worker(_message.Message):
    __slots__ = ("worker_id", "stage", "state", "requested_provider", "effective_provider", "at", "last_seen_at", "reason", "reason_code", "models", "thread_cap", "threads", "cpu_seconds", "version", "host", "pid", "health_port", "task_id")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    THREAD_CAP_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    CPU_SECONDS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    HEALTH_PORT_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    stage: str
    state: WorkerState
    requested_provider: str
    effective_provider: str
    at: _timestamp_pb2.Timestamp
    last_seen_at: _timestamp_pb2.Timestamp
    reason: str
    reason_code: str
    models: _containers.RepeatedCompositeFieldContainer[WorkerModel]
    thread_cap: int
    threads: int
    cpu_seconds: float
    version: str
    host: str
    pid: int
    health_port: int
    task_id: str
    def __init__(self, worker_id: _Optional[str] = ..., stage: _Optional[str] = ..., state: _Optional[_Union[WorkerState, str]] = ..., requested_provider: _Optional[str] = ..., effective_provider: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_seen_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., reason_code: _Optional[str] = ..., models: _Optional[_Iterable[_Union[WorkerModel, _Mapping]]] = ..., thread_cap: _Optional[int] = ..., threads: _Optional[int] = ..., cpu_seconds: _Optional[float] = ..., version: _Optional[str] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., health_port: _Optional[int] = ..., task_id: _Optional[str] = ...) -> None: ...

class WorkerModel(_message.Message):
    __slots__ = ("model", "sha256", "requested", "effective", "runtime", "device", "nodes", "reason", "licence")
    class NodesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    model: str
    sha256: str
    requested: str
    effective: str
    runtime: str
    device: str
    nodes: _containers.ScalarMap[str, int]
    reason: str
    licence: str
    def __init__(self, model: _Optional[str] = ..., sha256: _Optional[str] = ..., requested: _Optional[str] = ..., effective: _Optional[str] = ..., runtime: _Optional[str] = ..., device: _Optional[str] = ..., nodes: _Optional[_Mapping[str, int]] = ..., reason: _Optional[str] = ..., licence: _Optional[str] = ...) -> None: ...

class ProfileList(_message.Message):
    __slots__ = ("default", "profiles")
    class ProfilesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ProfileConfigs
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ProfileConfigs, _Mapping]] = ...) -> None: ...
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    default: Profile
    profiles: _containers.MessageMap[str, ProfileConfigs]
    def __init__(self, default: _Optional[_Union[Profile, str]] = ..., profiles: _Optional[_Mapping[str, ProfileConfigs]] = ...) -> None: ...

class ProfileConfigs(_message.Message):
    __slots__ = ("detect_track", "faces_embed", "cluster")
    DETECT_TRACK_FIELD_NUMBER: _ClassVar[int]
    FACES_EMBED_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    detect_track: _struct_pb2.Struct
    faces_embed: _struct_pb2.Struct
    cluster: _struct_pb2.Struct
    def __init__(self, detect_track: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., faces_embed: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., cluster: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
