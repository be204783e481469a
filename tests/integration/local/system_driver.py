"""Starts a system as the command does, tells its state as a line of JSON, and obeys words on stdin."""

import json
import sys

from services.kit.errors import ScreenalyticsError
from services.local import SystemState, start_system
from services.local.settings import parse_argv


def tell(state: SystemState) -> None:
    parts = {part.name: {"pid": part.pid, "port": part.port, "state": part.state} for part in state.parts}
    refused = [part.reason for part in state.refused]
    record = {
        "supervisor_pid": state.supervisor_pid,
        "api_url": state.api_url,
        "parts": parts,
        "refused": refused,
    }
    print(json.dumps(record), flush=True)


settings, _ = parse_argv(sys.argv[1:])
try:
    handle = start_system(settings)
except ScreenalyticsError as error:
    print(json.dumps({"code": error.code, "message": error.message, "hint": error.hint}), flush=True)
    sys.exit(error.exit_status)
with handle:
    tell(handle.state)
    for word in sys.stdin:
        if word.strip() == "ensure":
            tell(handle.ensure_running())
