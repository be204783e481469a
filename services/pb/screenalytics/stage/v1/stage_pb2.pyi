from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ArtifactRef(_message.Message):
    __slots__ = ("kind", "uri", "sha256", "size_bytes", "rows")
    KIND_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    uri: str
    sha256: str
    size_bytes: int
    rows: int
    def __init__(self, kind: _Optional[str] = ..., uri: _Optional[str] = ..., sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., rows: _Optional[int] = ...) -> None: ...

class ModelRef(_message.Message):
    __slots__ = ("role", "name", "sha256")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    role: str
    name: str
    sha256: str
    def __init__(self, role: _Optional[str] = ..., name: _Optional[str] = ..., sha256: _Optional[str] = ...) -> None: ...

class MediaRef(_message.Message):
    __slots__ = ("uri", "sha256", "size_bytes", "container")
    URI_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    uri: str
    sha256: str
    size_bytes: int
    container: str
    def __init__(self, uri: _Optional[str] = ..., sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., container: _Optional[str] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("ordinal", "start_pts", "end_pts", "prev_pts")
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    START_PTS_FIELD_NUMBER: _ClassVar[int]
    END_PTS_FIELD_NUMBER: _ClassVar[int]
    PREV_PTS_FIELD_NUMBER: _ClassVar[int]
    ordinal: int
    start_pts: int
    end_pts: int
    prev_pts: int
    def __init__(self, ordinal: _Optional[int] = ..., start_pts: _Optional[int] = ..., end_pts: _Optional[int] = ..., prev_pts: _Optional[int] = ...) -> None: ...

class MediaInfo(_message.Message):
    __slots__ = ("width", "height", "fps_num", "fps_den", "duration_s", "codec", "first_pts", "time_base_num", "time_base_den", "frames")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
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
    fps_num: int
    fps_den: int
    duration_s: float
    codec: str
    first_pts: int
    time_base_num: int
    time_base_den: int
    frames: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., fps_num: _Optional[int] = ..., fps_den: _Optional[int] = ..., duration_s: _Optional[float] = ..., codec: _Optional[str] = ..., first_pts: _Optional[int] = ..., time_base_num: _Optional[int] = ..., time_base_den: _Optional[int] = ..., frames: _Optional[int] = ...) -> None: ...

class Task(_message.Message):
    __slots__ = ("schema_version", "algorithm_version", "job_id", "run_id", "task_id", "stage", "kind", "ordinal", "provider", "requested_device", "ep_id", "episode_uid", "config_json", "models", "media", "media_info", "inputs", "segment", "stall_s", "max_runtime_s", "traceparent")
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_VERSION_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_DEVICE_FIELD_NUMBER: _ClassVar[int]
    EP_ID_FIELD_NUMBER: _ClassVar[int]
    EPISODE_UID_FIELD_NUMBER: _ClassVar[int]
    CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    MEDIA_INFO_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    STALL_S_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNTIME_S_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    schema_version: int
    algorithm_version: int
    job_id: str
    run_id: str
    task_id: str
    stage: str
    kind: str
    ordinal: int
    provider: str
    requested_device: str
    ep_id: str
    episode_uid: str
    config_json: str
    models: _containers.RepeatedCompositeFieldContainer[ModelRef]
    media: MediaRef
    media_info: MediaInfo
    inputs: _containers.RepeatedCompositeFieldContainer[ArtifactRef]
    segment: Segment
    stall_s: float
    max_runtime_s: float
    traceparent: str
    def __init__(self, schema_version: _Optional[int] = ..., algorithm_version: _Optional[int] = ..., job_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., stage: _Optional[str] = ..., kind: _Optional[str] = ..., ordinal: _Optional[int] = ..., provider: _Optional[str] = ..., requested_device: _Optional[str] = ..., ep_id: _Optional[str] = ..., episode_uid: _Optional[str] = ..., config_json: _Optional[str] = ..., models: _Optional[_Iterable[_Union[ModelRef, _Mapping]]] = ..., media: _Optional[_Union[MediaRef, _Mapping]] = ..., media_info: _Optional[_Union[MediaInfo, _Mapping]] = ..., inputs: _Optional[_Iterable[_Union[ArtifactRef, _Mapping]]] = ..., segment: _Optional[_Union[Segment, _Mapping]] = ..., stall_s: _Optional[float] = ..., max_runtime_s: _Optional[float] = ..., traceparent: _Optional[str] = ...) -> None: ...

class ClaimRequest(_message.Message):
    __slots__ = ("task_id", "attempt_id", "worker_id")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    attempt_id: str
    worker_id: str
    def __init__(self, task_id: _Optional[str] = ..., attempt_id: _Optional[str] = ..., worker_id: _Optional[str] = ...) -> None: ...

class ClaimReply(_message.Message):
    __slots__ = ("decision", "generation", "reason")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    decision: str
    generation: int
    reason: str
    def __init__(self, decision: _Optional[str] = ..., generation: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class ModelPlacement(_message.Message):
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

class Execution(_message.Message):
    __slots__ = ("requested_device", "resolved_device", "models", "thread_cap", "threads", "cpu_seconds", "wall_seconds")
    REQUESTED_DEVICE_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_DEVICE_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    THREAD_CAP_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    CPU_SECONDS_FIELD_NUMBER: _ClassVar[int]
    WALL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    requested_device: str
    resolved_device: str
    models: _containers.RepeatedCompositeFieldContainer[ModelPlacement]
    thread_cap: int
    threads: int
    cpu_seconds: float
    wall_seconds: float
    def __init__(self, requested_device: _Optional[str] = ..., resolved_device: _Optional[str] = ..., models: _Optional[_Iterable[_Union[ModelPlacement, _Mapping]]] = ..., thread_cap: _Optional[int] = ..., threads: _Optional[int] = ..., cpu_seconds: _Optional[float] = ..., wall_seconds: _Optional[float] = ...) -> None: ...

class TaskResult(_message.Message):
    __slots__ = ("job_id", "run_id", "task_id", "attempt_id", "worker_id", "outcome", "outputs", "segments", "media_info", "counts", "execution", "warnings", "error_code", "error_message", "retry_after_s", "log_tail", "started_at", "finished_at")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    MEDIA_INFO_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    LOG_TAIL_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    run_id: str
    task_id: str
    attempt_id: str
    worker_id: str
    outcome: str
    outputs: _containers.RepeatedCompositeFieldContainer[ArtifactRef]
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    media_info: MediaInfo
    counts: _containers.ScalarMap[str, int]
    execution: Execution
    warnings: _containers.RepeatedScalarFieldContainer[str]
    error_code: str
    error_message: str
    retry_after_s: float
    log_tail: _containers.RepeatedScalarFieldContainer[str]
    started_at: str
    finished_at: str
    def __init__(self, job_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., attempt_id: _Optional[str] = ..., worker_id: _Optional[str] = ..., outcome: _Optional[str] = ..., outputs: _Optional[_Iterable[_Union[ArtifactRef, _Mapping]]] = ..., segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ..., media_info: _Optional[_Union[MediaInfo, _Mapping]] = ..., counts: _Optional[_Mapping[str, int]] = ..., execution: _Optional[_Union[Execution, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ..., error_code: _Optional[str] = ..., error_message: _Optional[str] = ..., retry_after_s: _Optional[float] = ..., log_tail: _Optional[_Iterable[str]] = ..., started_at: _Optional[str] = ..., finished_at: _Optional[str] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("job_id", "run_id", "task_id", "attempt_id", "stage", "level", "message", "is_noisy", "at", "line")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    IS_NOISY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    run_id: str
    task_id: str
    attempt_id: str
    stage: str
    level: str
    message: str
    is_noisy: bool
    at: str
    line: int
    def __init__(self, job_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., attempt_id: _Optional[str] = ..., stage: _Optional[str] = ..., level: _Optional[str] = ..., message: _Optional[str] = ..., is_noisy: _Optional[bool] = ..., at: _Optional[str] = ..., line: _Optional[int] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("job_id", "run_id", "task_id", "attempt_id", "generation", "stage", "phase", "done", "total", "unit", "at")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    run_id: str
    task_id: str
    attempt_id: str
    generation: int
    stage: str
    phase: str
    done: float
    total: float
    unit: str
    at: str
    def __init__(self, job_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., attempt_id: _Optional[str] = ..., generation: _Optional[int] = ..., stage: _Optional[str] = ..., phase: _Optional[str] = ..., done: _Optional[float] = ..., total: _Optional[float] = ..., unit: _Optional[str] = ..., at: _Optional[str] = ...) -> None: ...

class Control(_message.Message):
    __slots__ = ("job_id", "action")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    action: str
    def __init__(self, job_id: _Optional[str] = ..., action: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("worker_id", "stage", "state", "requested_provider", "effective_provider", "reason", "models", "thread_cap", "threads", "cpu_seconds", "version", "host", "pid", "health_port", "task_id", "at", "reason_code")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    THREAD_CAP_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    CPU_SECONDS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    HEALTH_PORT_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    stage: str
    state: str
    requested_provider: str
    effective_provider: str
    reason: str
    models: _containers.RepeatedCompositeFieldContainer[ModelPlacement]
    thread_cap: int
    threads: int
    cpu_seconds: float
    version: str
    host: str
    pid: int
    health_port: int
    task_id: str
    at: str
    reason_code: str
    def __init__(self, worker_id: _Optional[str] = ..., stage: _Optional[str] = ..., state: _Optional[str] = ..., requested_provider: _Optional[str] = ..., effective_provider: _Optional[str] = ..., reason: _Optional[str] = ..., models: _Optional[_Iterable[_Union[ModelPlacement, _Mapping]]] = ..., thread_cap: _Optional[int] = ..., threads: _Optional[int] = ..., cpu_seconds: _Optional[float] = ..., version: _Optional[str] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., health_port: _Optional[int] = ..., task_id: _Optional[str] = ..., at: _Optional[str] = ..., reason_code: _Optional[str] = ...) -> None: ...
