"""The gRPC examples of docs/api.md do what they say."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.conftest import REPOSITORY
from tests.integration.orchestrator.conftest import ServeBoth
from tests.integration.parts import Parts, until

PAGE = (REPOSITORY / "docs" / "api.md").read_text("utf-8").partition("## gRPC\n")[2]
COMMANDS = [line for line in PAGE.splitlines() if line.startswith("grpcurl ")]
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ADDRESS = "127.0.0.1:9090"


class Grpcurl:
    """What the command does with a server that describes itself: no part of ours tells it what a call is."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        self._pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self._channel))

    def run(self, command: str) -> list[Any]:
        """Names that it lists, or answers as JSON."""
        words = shlex.split(command)
        assert words[:2] == ["grpcurl", "-plaintext"]
        body = words[words.index("-d") + 1] if "-d" in words else "{}"
        rest = [word for word in words[2:] if word not in ("-d", body)]
        assert rest[0] == ADDRESS
        if rest[1] == "list":
            return [method.full_name for method in self._pool.FindServiceByName(rest[2]).methods]
        service, name = rest[1].split("/")
        method = self._pool.FindServiceByName(service).methods_by_name[name]
        asked = json_format.Parse(body, GetMessageClass(method.input_type)())
        answer = GetMessageClass(method.output_type).FromString
        make = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        answered = make(f"/{service}/{name}", asked.__class__.SerializeToString, answer)(asked, timeout=30)
        return [
            json_format.MessageToDict(each, preserving_proto_field_name=True)
            for each in (answered if method.server_streaming else [answered])
        ]

    def close(self) -> None:
        self._channel.close()


async def test_the_grpcurl_commands_are_answered(serve_both: ServeBoth, parts: Parts) -> None:
    await parts.upload("my-0123abcd")
    listing, register, submit, watch, health = COMMANDS
    async with serve_both(reflection=True) as both:
        tool = Grpcurl(both.grpc_address)
        assert "screenalytics.v1.Jobs.WatchJob" in await asyncio.to_thread(tool.run, listing)
        with pytest.raises(grpc.RpcError, match=r"videos\.example"):  # a host that nobody has
            await asyncio.to_thread(tool.run, register)
        (job,) = await asyncio.to_thread(tool.run, submit)
        assert job["state"] == "STATE_QUEUED"
        await parts.jobs.cancel(job["job_id"])
        *changes, end = await asyncio.to_thread(tool.run, watch.replace("JOB_ID", job["job_id"]))
        assert [int(change["state"]["seq"]) for change in changes] == list(range(3, 3 + len(changes)))
        assert end == {"end": {"state": "STATE_CANCELLED"}}
        assert await asyncio.to_thread(tool.run, health) == [{"status": "SERVING"}]
        tool.close()


async def test_the_python_program_runs(serve_both: ServeBoth, parts: Parts, tmp_path: Path) -> None:
    await parts.upload("my-0123abcd")
    async with serve_both() as both:
        program = tmp_path / "example.py"
        program.write_text(PROGRAM.replace(ADDRESS, both.grpc_address))
        running = await asyncio.create_subprocess_exec(
            sys.executable,
            str(program),
            cwd=REPOSITORY,
            env={"PYTHONPATH": str(REPOSITORY), "no_grpc_proxy": "127.0.0.1"},
            stdout=asyncio.subprocess.PIPE,
        )

        async def submitted() -> Any:
            return await parts.rows("SELECT job_id FROM jobs")

        (job,) = await until(submitted)
        await parts.finish(job["job_id"])
        said, _ = await asyncio.wait_for(running.communicate(), 60)
    lines = said.decode().splitlines()
    assert running.returncode == 0
    assert lines[0] == "1 STATE_QUEUED"
    assert lines[-2].endswith("STATE_SUCCEEDED")
    assert "tracks.jsonl" in lines[-1]
