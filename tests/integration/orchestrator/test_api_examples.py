"""The curl and Python examples of docs/api.md do what they say, on a real system."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import REPOSITORY, required_tool
from tests.integration.parts import VIDEO, Parts

PAGE = (REPOSITORY / "docs" / "api.md").read_text("utf-8").partition("## gRPC\n")[0]
COMMANDS = "".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL))
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ADDRESS = "http://127.0.0.1:8080"


async def output_of(folder: Path, *command: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_PROXY": "*"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def documents(text: str) -> list[Any]:
    """JSON documents that follow each other, with or without space between them."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


async def test_the_curl_commands_are_answered(api: httpx.AsyncClient, tmp_path: Path) -> None:
    required_tool("curl")
    (tmp_path / "my.mp4").write_bytes(VIDEO)
    script = COMMANDS.replace(ADDRESS, str(api.base_url).rstrip("/"))
    out = await output_of(tmp_path, required_tool("bash"), "-euo", "pipefail", "-c", script)
    head, told, tail = re.split(r"(id: 1\n.*event: end\n[^\n]*\n)", out, maxsplit=1, flags=re.DOTALL)
    episode, submitted, read, waited, cancelled = documents(head)
    listed, edited = documents(tail)
    assert episode["ep_id"] == "my-0123abcd"
    assert [job["state"] for job in (submitted, read, waited, cancelled)] == ["queued"] * 3 + ["cancelled"]
    assert told.endswith('data: {"state": "cancelled"}\n')
    assert [job["job_id"] for job in listed["jobs"]] == [submitted["job_id"]]
    assert edited["title"] == "Pilot"


async def test_the_python_program_runs(api: httpx.AsyncClient, parts: Parts, tmp_path: Path) -> None:
    await parts.upload("my-0123abcd")
    program = PROGRAM.replace(ADDRESS, str(api.base_url))
    said = (await output_of(tmp_path, sys.executable, "-c", program)).splitlines()
    assert (said[0], said[-2:]) == ("queued", [said[-2], "precondition-failed"])
    assert said[-2].endswith("the job cancelled")
    assert (await api.get("/v1/episodes/my-0123abcd")).json()["labels"] == {"season": "1"}
