"""Stands in for a service: answers `/readyz`, or does what the variable STANDIN_<NAME> says instead."""

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

_REFUSAL = {"event": "refused", "code": "accelerator-unavailable", "reason": "no CUDA device", "hint": ""}
_BAD_MODEL = {"event": "refused", "code": "model-unusable", "reason": "digest differs", "hint": "fetch it"}


class Handler(BaseHTTPRequestHandler):
    ready_status = 200

    def do_GET(self) -> None:
        answers = {
            "/readyz": (self.ready_status, b"standing in"),
            "/env": (200, json.dumps(dict(os.environ)).encode()),
        }
        status, body = answers.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def end(status: int, line: str) -> None:
    print(line, file=sys.stderr, flush=True)
    sys.exit(status)


def misbehave(behaviour: str) -> None:
    if behaviour == "refuse":
        end(3, json.dumps(_REFUSAL))
    if behaviour == "lack_a_model":
        end(2, json.dumps(_BAD_MODEL))
    if behaviour == "crash":
        end(1, "the last words of a broken program")
    if behaviour == "never_get_ready":
        Handler.ready_status = 503
    if behaviour == "ignore_sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "have_a_child":
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        print(f"child {child.pid}", flush=True)


name = os.environ.get("STANDIN", Path(__file__).parent.name).upper()
misbehave(os.environ.get(f"STANDIN_{name}", ""))
port = os.environ["SCREENALYTICS_HTTP__PORT" if name == "ORCHESTRATOR" else "SCREENALYTICS_HEALTH__PORT"]
HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
