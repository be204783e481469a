"""The named queries and the migrations, as files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import services.orchestrator
from services.orchestrator.sql import migrations, queries

ROOT = Path(services.orchestrator.__file__).parent


def named_calls() -> Iterator[tuple[str, set[str]]]:
    """(query, parameters) of every query that the orchestrator runs; `**` for those that are no keywords."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            verb, receiver = node.func.attr, ast.unparse(node.func.value)
            if receiver == "tx" and verb == "together":
                for asked in node.args:
                    assert isinstance(asked, ast.Tuple)
                    yield text_of(asked.elts[0]), {"**"}
            elif (receiver == "tx" and verb in {"run", "one", "all", "last"}) or (
                receiver.endswith("database") and verb == "read"
            ):
                (name,) = node.args
                yield text_of(name), {keyword.arg or "**" for keyword in node.keywords}


def text_of(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, str)
    return node.value


def test_every_query_is_used_and_every_used_query_exists() -> None:
    assert {name for name, _ in named_calls()} == set(queries())


def test_every_call_gives_the_parameters_its_query_takes() -> None:
    for name, given in named_calls():
        taken = set(re.findall(r"%\((\w+)\)s", queries()[name]))
        assert given == taken or ("**" in given and given - {"**"} <= taken), name


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    numbers = [number for number, _ in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
