"""Spans of a real process at a real collector: by TLS, with a token, by share, and not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
import trustme

from services.local.ports import LOOPBACK, choose_ports
from tests.otlp import receiving

_PROGRAM = """
import sys
from services.kit import tracing
from services.kit.process import run_service
from services.kit.settings import ServiceSettings

async def serve(settings, stop):
    for _ in range(20):
        with tracing.span("begun here"):
            pass
    caller = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with tracing.span("called", carrier=caller):
        print(tracing.traceparent())
    print("opentelemetry.sdk" in sys.modules)

sys.exit(run_service(ServiceSettings, serve))
"""
_CALLER = "0af7651916cd43dd8448eb211c80319c"


def run(**traces: str) -> tuple[str, bool]:
    """(traceparent below a caller's span, whether the SDK was imported)."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("SCREENALYTICS_")}
    given = {f"SCREENALYTICS_TRACES__{name.upper()}": value for name, value in traces.items()}
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=bare | {"SCREENALYTICS_STORE__URL": "memory:///"} | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    traceparent, has_sdk = ended.stdout.splitlines()
    return traceparent, has_sdk == "True"


def test_without_an_endpoint_nothing_is_imported_and_a_callers_context_is_passed_on() -> None:
    traceparent, has_sdk = run()
    assert not has_sdk
    assert traceparent.split("-")[1] == _CALLER


def test_spans_go_out_by_tls_to_an_authority_of_ones_own_with_the_token(tmp_path: Path) -> None:
    authority = trustme.CA()
    (ca_file := tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    issued = authority.issue_cert(LOOPBACK)
    chain = issued.cert_chain_pems[0].bytes()
    credentials = grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)])
    with receiving(credentials) as (receiver, port):
        headers = json.dumps({"authorization": "Bearer of this test"})
        run(endpoint=f"https://{LOOPBACK}:{port}", ca_file=str(ca_file), headers=headers)
        spans = receiver.until(lambda spans: len(spans) == 21)
    assert {span.service for span in spans} == {"kit"}
    assert receiver.headers[0]["authorization"] == "Bearer of this test"


def test_a_share_of_none_leaves_what_a_caller_has_decided_to_record() -> None:
    with receiving() as (receiver, port):
        run(endpoint=f"http://{LOOPBACK}:{port}", sample_ratio="0")
        (span,) = receiver.until(bool)
    assert (span.name, span.trace_id) == ("called", _CALLER)


def test_a_collector_that_is_away_keeps_no_process_from_ending() -> None:
    run(endpoint=f"http://{LOOPBACK}:{choose_ports(1)[0]}")


@pytest.mark.parametrize("endpoint", ["collector:4317", "http://collector", "ftp://collector:1"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(AssertionError, match="invalid-settings"):
        run(endpoint=endpoint)
