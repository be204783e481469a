"""Errors as gRPC tells them: any error, however long its text, fits into what a client takes."""

from __future__ import annotations

import base64
from urllib.parse import quote

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from services.kit.errors import ScreenalyticsError
from services.orchestrator.grpc_api.errors import DETAILS, code_of, message_of, trailers_of

TRAILERS_BYTES = 8 << 10  # what a client takes by default


def tree(cls: type[ScreenalyticsError] = ScreenalyticsError) -> list[type[ScreenalyticsError]]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in tree(child))]


def status_of(error: ScreenalyticsError) -> Status:
    ((name, packed),) = trailers_of(error)
    assert name == DETAILS
    return Status.FromString(packed)


@pytest.mark.parametrize("cls", tree(), ids=lambda cls: cls.code)
def test_every_error_has_a_status_and_its_code_as_the_reason(cls: type[ScreenalyticsError]) -> None:
    error = cls("it failed", hint="do this")
    error.extras["job_id"] = "j1"
    status, info, retry = status_of(error), ErrorInfo(), RetryInfo()
    assert grpc.StatusCode[cls.grpc_status].value[0] == status.code != 0
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (cls.code, "screenalytics")
    assert dict(info.metadata) == {"hint": "do this", "job_id": "j1"}
    waits = [detail for detail in status.details if detail.Unpack(retry)]
    assert bool(waits) == (code_of(error) is grpc.StatusCode.UNAVAILABLE)


@pytest.mark.parametrize("letter", ["a", "é", "\U0001f600", "\ud800", "\x00", "%"])
def test_a_text_without_end_fits_into_the_trailers(letter: str) -> None:
    error = ScreenalyticsError(letter * 50_000, hint=letter * 50_000)
    error.extras["found"] = letter * 50_000
    ((_, packed),) = trailers_of(error)
    size = len(base64.b64encode(packed)) + len(quote(message_of(error)))
    assert size < TRAILERS_BYTES - 512
    assert status_of(error).message == message_of(error)


def test_a_text_that_fits_is_told_whole() -> None:
    assert message_of(ScreenalyticsError("no episode 'é'")) == "no episode 'é'"
