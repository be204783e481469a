"""Every error as a status of the one table of errors, with `google.rpc.ErrorInfo`; never a stack trace."""

from __future__ import annotations

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from services.kit.errors import ScreenalyticsError

DOMAIN = "screenalytics"
DETAILS = "grpc-status-details-bin"

_RETRY_AFTER_S = 2
# Clients refuse trailers of more than 8 KiB. The message stands there twice: in the details, by a third longer
# than it is, and by itself, where a byte can take three.
_MOST_BYTES = 1_000
_MOST_METADATA_BYTES = 1_500


def code_of(error: ScreenalyticsError) -> grpc.StatusCode:
    return grpc.StatusCode[error.grpc_status]


def message_of(error: ScreenalyticsError) -> str:
    return _short(error.message, _MOST_BYTES)


def trailers_of(error: ScreenalyticsError) -> tuple[tuple[str, bytes], ...]:
    """`reason` is the stable code; `metadata` has the hint and what REST has as further members."""
    told = {"hint": error.hint, **error.extras} if error.hint else error.extras
    metadata = {name: _short(str(value), _MOST_METADATA_BYTES // len(told)) for name, value in told.items()}
    details: list[Message] = [ErrorInfo(reason=error.code, domain=DOMAIN, metadata=metadata)]
    if code_of(error) is grpc.StatusCode.UNAVAILABLE:
        details.append(RetryInfo(retry_delay=Duration(seconds=_RETRY_AFTER_S)))
    status = Status(code=code_of(error).value[0], message=message_of(error), details=map(_packed, details))
    return ((DETAILS, status.SerializeToString()),)


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


def _short(text: str, most_bytes: int) -> str:
    whole = text.encode("utf-8", "replace")
    return whole.decode() if len(whole) <= most_bytes else f"{whole[: most_bytes - 3].decode(errors='ignore')}…"
