"""What `helm test` runs: a tiny episode goes through every stage, where the worker map says.

Needs the standard library alone. Environment: SCREENALYTICS_API__URL, SCREENALYTICS_CLIENT__TOKEN (a key, where
one is asked for), SCREENALYTICS_CLIENT__CA_FILE (of a private authority), TEST_SERVER_NAME (in its
certificate), TEST_EPISODE (a file), TEST_DEVICE, TEST_TIMEOUT_S. Exit status 0 means: the whole way works.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_TERMINAL = ("succeeded", "failed", "cancelled", "skipped")
_POLL_S = 1.0


class _Connection(http.client.HTTPSConnection):
    """Its certificate is checked for a name that need not be the one it is called by."""

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        context = ssl.create_default_context(cafile=os.environ.get("SCREENALYTICS_CLIENT__CA_FILE"))
        self.sock = context.wrap_socket(self.sock, server_hostname=os.environ["TEST_SERVER_NAME"])


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class Api:
    def __init__(self, url: str, token: str = "") -> None:
        self.url = url
        self._known = {"Authorization": f"Bearer {token}"} if token else {}
        self._opener = urllib.request.build_opener(_Https)

    def call(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        headers = {**self._known, **({"Content-Type": kind} if body is not None else {})}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        with self._opener.open(request, timeout=30) as answer:
            return json.load(answer)

    def upload(self, video: Path) -> str:
        path = "/v1/episodes?filename=helm-test.mp4&ep_id=helm-test&replace=true"
        return str(self.call("POST", path, video.read_bytes(), "application/octet-stream")["ep_id"])

    def submit(self, ep_id: str, device: str) -> str:
        body = json.dumps({"ep_id": ep_id, "device": device}).encode()
        return str(self.call("POST", "/v1/jobs", body)["job_id"])


def await_end(api: Api, job_id: str, timeout_s: float) -> dict[str, Any]:
    until = time.monotonic() + timeout_s
    shown = ""
    while True:
        job: dict[str, Any] = api.call("GET", f"/v1/jobs/{job_id}")
        line = ", ".join(f"{run['stage']} {run['state']}" for run in job["stages"])
        if line != shown:
            print(line, flush=True)
            shown = line
        if job["state"] in _TERMINAL:
            return job
        if time.monotonic() > until:
            waits = {run["stage"]: run["waiting_for"] for run in job["stages"] if run.get("waiting_for")}
            sys.exit(
                f"the episode was not done within {timeout_s:.0f} s; waiting for: {waits or 'its workers'}"
            )
        time.sleep(_POLL_S)


def faults(job: dict[str, Any], device: str) -> list[str]:
    """What is wrong with an ended job, stage by stage."""
    found = [] if job["state"] == "succeeded" else [f"the job {job['state']}: {job.get('error')}"]
    for run in job["stages"]:
        if run["state"] != "succeeded":
            found.append(f"{run['stage']} {run['state']} ({run.get('error') or run.get('skip_reason')})")
        elif run.get("resolved_device") != device:
            found.append(f"{run['stage']} ran on {run.get('resolved_device')}, not on {device}")
    return found


def main() -> None:
    api = Api(os.environ["SCREENALYTICS_API__URL"], os.environ.get("SCREENALYTICS_CLIENT__TOKEN", ""))
    device = os.environ["TEST_DEVICE"]
    try:
        ep_id = api.upload(Path(os.environ["TEST_EPISODE"]))
        job = await_end(api, api.submit(ep_id, device), float(os.environ["TEST_TIMEOUT_S"]))
        identities = api.call("GET", f"/v1/episodes/{ep_id}/identities")["identities"]
    except urllib.error.HTTPError as error:
        sys.exit(f"the API answered {error.code}: {error.read().decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"the API does not answer at {api.url}: {error}")
    found = faults(job, device) + ([] if identities else ["no identity was found in the episode"])
    if found:
        sys.exit("\n".join(found))
    print(f"every stage ran on {device}; {len(identities)} identities")


if __name__ == "__main__":
    main()
