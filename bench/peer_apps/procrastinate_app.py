"""The task in procrastinate; run as a module, a worker of one task at a time."""

from __future__ import annotations

import os
from typing import Any

import procrastinate

from peer_apps import note


def make_app() -> Any:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["PEER_DSN"]))
    app.task(name="note")(note)
    return app


if __name__ == "__main__":
    make_app().run_worker(concurrency=1)
