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
    """(query, parameters) of every `tx.run`, `tx.one` and `tx.all` of the orchestrator."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in {"run", "one", "all"} and ast.unparse(node.func.value) == "tx":
                (name,) = node.args
                assert isinstance(name, ast.Constant)
                assert isinstance(name.value, str)
                is_open = any(keyword.arg is None for keyword in node.keywords)
                yield name.value, {k.arg or "**" for k in node.keywords} | ({"**"} if is_open else set())


def test_every_query_is_used_and_every_used_query_exists() -> None:
    assert {name for name, _ in named_calls()} == set(queries())


def test_every_call_gives_the_parameters_its_query_takes() -> None:
    for name, given in named_calls():
        taken = set(re.findall(r"%\((\w+)\)s", queries()[name]))
        assert given == taken or ("**" in given and given - {"**"} <= taken), name


def test_migrations_are_numbered_once_each_and_in_order() -> None:
    numbers = [number for number, _ in migrations()]
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))
