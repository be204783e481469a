"""The error tree: every failure that a user or another service can see.

ScreenalyticsError
|-- InvalidInput                 2  the caller must change the request
|   |-- InvalidRequest
|   |   |-- TooLarge             (more bytes than the settings allow)
|   |   |-- UnsupportedMediaType
|   |   `-- InvalidPageToken
|   |-- InvalidMedia
|   |-- DamagedFile              (a file of the older system that cannot be imported)
|   |-- NotFound
|   |-- Conflict
|   |   `-- ZeroRows             (what the stage would work on is empty)
|   |-- PreconditionFailed       (what the caller has seen is no longer so)
|   |-- IdempotencyKeyReused
|   |-- DigestMismatch           (the bytes that came are not those that were announced)
|   |   `-- ChecksumMismatch     (those of a part of an upload)
|   |-- AddressRefused           (a URL that this system may not call)
|   |-- RemoteUnavailable        (a URL behind which nothing usable was found)
|   |-- InvalidSettings
|   `-- ModelUnusable            (missing file, wrong digest, unreadable graph)
|-- AcceleratorUnavailable       3  the requested provider is not there
|-- SystemUnavailable            4  a part of the system does not answer or cannot start
|   |-- InferenceUnavailable     (the inference server does not answer)
|   |-- DeadlineExceeded         (a call took longer than it may)
|   |-- AlreadyRunning
|   |-- PortInUse
|   |-- InsufficientDisk         (what is asked for would not fit)
|   `-- DataDirUnusable
`-- StageFailed                  1  the work itself failed

The numbers are the exit statuses of the command. `code` is stable and public: it is the last
segment of the RFC 9457 `type`, the gRPC `ErrorInfo.reason`, and the `error_code` of a failed job.
"""

from __future__ import annotations

from typing import ClassVar


class ScreenalyticsError(Exception):
    """Base of the tree. `message` says what is wrong; `hint` says what to do about it."""

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    http_status: ClassVar[int] = 500
    grpc_status: ClassVar[str] = "INTERNAL"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.extras: dict[str, str | int] = {}  # further members of the problem document

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidInput(ScreenalyticsError):
    code = "invalid-input"
    title = "Invalid input"
    http_status = 400
    grpc_status = "INVALID_ARGUMENT"
    exit_status = 2


class InvalidRequest(InvalidInput):
    code = "invalid-request"
    title = "The request is not valid"


class TooLarge(InvalidRequest):
    code = "too-large"
    title = "The content is larger than this system takes"
    http_status = 413


class UnsupportedMediaType(InvalidRequest):
    code = "unsupported-media-type"
    title = "The content type is not one that this call takes"
    http_status = 415


class InvalidPageToken(InvalidRequest):
    code = "invalid-page-token"
    title = "The page token is not one of this query"


class InvalidMedia(InvalidInput):
    code = "invalid-media"
    title = "The file is not a video that can be used"
    http_status = 422


class DamagedFile(InvalidInput):
    code = "damaged-file"
    title = "A file cannot be imported"
    http_status = 422


class NotFound(InvalidInput):
    code = "not-found"
    title = "No such resource"
    http_status = 404
    grpc_status = "NOT_FOUND"


class Conflict(InvalidInput):
    code = "conflict"
    title = "The request conflicts with the current state"
    http_status = 409
    grpc_status = "FAILED_PRECONDITION"


class ZeroRows(Conflict):
    code = "zero-rows"
    title = "There is nothing to work on"


class PreconditionFailed(InvalidInput):
    code = "precondition-failed"
    title = "The resource has changed since it was read"
    http_status = 412
    grpc_status = "ABORTED"


class IdempotencyKeyReused(InvalidInput):
    code = "idempotency-key-reused"
    title = "The idempotency key belongs to another request"
    http_status = 422


class DigestMismatch(InvalidInput):
    code = "digest-mismatch"
    title = "The content does not have the digest it was sent with"


class ChecksumMismatch(DigestMismatch):
    code = "checksum-mismatch"
    title = "The part does not have the checksum it was sent with"
    http_status = 460  # as tus has it


class AddressRefused(InvalidInput):
    code = "address-refused"
    title = "The URL is not one that this system may call"
    http_status = 422


class RemoteUnavailable(InvalidInput):
    code = "remote-unavailable"
    title = "Nothing usable was found behind the URL"
    http_status = 422
    grpc_status = "FAILED_PRECONDITION"


class InvalidSettings(InvalidInput):
    code = "invalid-settings"
    title = "The settings are not valid"


class ModelUnusable(InvalidInput):
    code = "model-unusable"
    title = "A model file is missing or is not the one the catalog names"
    http_status = 409
    grpc_status = "FAILED_PRECONDITION"


class AcceleratorUnavailable(ScreenalyticsError):
    code = "accelerator-unavailable"
    title = "The requested accelerator is not available"
    http_status = 409
    grpc_status = "FAILED_PRECONDITION"
    exit_status = 3


class SystemUnavailable(ScreenalyticsError):
    code = "system-unavailable"
    title = "The system does not answer"
    http_status = 503
    grpc_status = "UNAVAILABLE"
    exit_status = 4


class InferenceUnavailable(SystemUnavailable):
    code = "inference-unavailable"
    title = "The inference server does not answer"


class DeadlineExceeded(SystemUnavailable):
    code = "deadline-exceeded"
    title = "The call took longer than it may"
    http_status = 504
    grpc_status = "DEADLINE_EXCEEDED"


class AlreadyRunning(SystemUnavailable):
    code = "already-running"
    title = "A system already runs on this data directory"


class PortInUse(SystemUnavailable):
    code = "port-in-use"
    title = "A port is in use"


class InsufficientDisk(SystemUnavailable):
    code = "insufficient-disk"
    title = "There is not enough space on a disk"
    http_status = 507
    grpc_status = "RESOURCE_EXHAUSTED"


class DataDirUnusable(SystemUnavailable):
    code = "data-dir-unusable"
    title = "The data directory cannot be used"


class StageFailed(ScreenalyticsError):
    code = "stage-failed"
    title = "A stage failed"


def _tree(cls: type[ScreenalyticsError]) -> list[type[ScreenalyticsError]]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in _tree(child))]


def error_class(code: str) -> type[ScreenalyticsError]:
    """The class whose `code` this is; the base class for codes from a newer release."""
    return next((cls for cls in _tree(ScreenalyticsError) if cls.code == code), ScreenalyticsError)
