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
    """(query, parameters) of every call of a transaction in the orchestrator; `**` for those given as a whole."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            called = f"{ast.unparse(node.func.value).rpartition('_')[2]}.{node.func.attr}"
            if called in {"tx.run", "tx.one", "tx.all", "tx.last", "database.read"}:
                (name,) = node.args
                is_open = any(keyword.arg is None for keyword in node.keywords)
                yield named(name), {k.arg or "**" for k in node.keywords} | ({"**"} if is_open else set())
            elif called == "tx.together":
                for asked in node.args:
                    assert isinstance(asked, ast.Tuple)
                    name, parameters = asked.elts
                    given = parameters.keys if isinstance(parameters, ast.Dict) else []
                    yield named(name), {named(key) for key in given} or {"**"}


def named(node: ast.expr | None) -> str:
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, str)
    return node.value


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
