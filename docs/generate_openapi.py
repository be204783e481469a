"""Writes the description of the REST API: `python docs/generate_openapi.py > docs/openapi.json`."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from services.orchestrator.core import Core
from services.orchestrator.http_api import app

_UNASKED: Any = dict.fromkeys((field.name for field in fields(Core)), None)


def described() -> str:
    """Canonical: sorted, so that a change shows as what it is. No part is asked while routes are described."""
    return json.dumps(app.build(Core(**_UNASKED)).openapi(), indent=2, sort_keys=True, ensure_ascii=False)


if __name__ == "__main__":
    print(described())
