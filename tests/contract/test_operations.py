"""The table of operations and what each transport describes."""

from __future__ import annotations

from typing import Any, cast

from services.orchestrator.core import Core
from services.orchestrator.http_api import app
from services.orchestrator.operations import OPERATIONS


class _Nothing:
    """Stands for parts that are not asked while routes are only described."""

    def __getattr__(self, name: str) -> Any:
        return None


def test_rest_offers_exactly_the_operations_of_the_table() -> None:
    described = app.build(cast(Core, _Nothing())).openapi()["paths"]
    offered = {
        (call["operationId"], f"{method.upper()} {path}")
        for path, calls in described.items()
        for method, call in calls.items()
    }
    assert offered == {(operation.name, operation.rest) for operation in OPERATIONS}
