"""What the description of the REST API promises of every call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

DESCRIBED = json.loads((Path(__file__).resolve().parents[2] / "docs/openapi.json").read_text("utf-8"))
CALLS = [
    pytest.param(call, id=call["operationId"])
    for calls in DESCRIBED["paths"].values()
    for call in calls.values()
]


def schema_of(answer: dict[str, Any]) -> dict[str, Any]:
    """The schema of a JSON body, its reference resolved."""
    schema = answer["content"]["application/json"]["schema"]
    name = schema.get("$ref", "").rpartition("/")[2]
    return dict(DESCRIBED["components"]["schemas"][name]) if name else dict(schema)


def test_it_is_openapi_3_1() -> None:
    assert DESCRIBED["openapi"].startswith("3.1.")


@pytest.mark.parametrize("call", CALLS)
def test_every_error_is_a_problem_document(call: dict[str, Any]) -> None:
    refused = {status for status in call["responses"] if status.startswith(("4", "5"))}
    assert refused == set(), "errors are described once, as the default"
    assert call["responses"]["default"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }


# tus tells in headers what others tell in bodies.
EMPTY_BY_PROTOCOL = {"create_upload", "head_upload"}


@pytest.mark.parametrize("call", CALLS)
def test_every_success_says_what_its_body_holds(call: dict[str, Any]) -> None:
    successes = {s: a for s, a in call["responses"].items() if s.startswith("2")}
    assert successes
    for status, answer in successes.items():
        if status == "204" or call["operationId"] in EMPTY_BY_PROTOCOL:
            assert "content" not in answer
            continue
        assert answer["content"], "a success without a body"
        if list(answer["content"]) == ["application/json"]:
            schema = schema_of(answer)
            assert schema.get("properties") or schema.get("additionalProperties"), "an object of anything"


@pytest.mark.parametrize("call", CALLS)
def test_what_goes_on_after_its_answer_says_where_to_look(call: dict[str, Any]) -> None:
    if "202" in call["responses"]:
        assert "Location" in call["responses"]["202"]["headers"]
