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
    """(query, parameters) of every query that the orchestrator asks; "**" for parameters not told one by one."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            receiver, method = ast.unparse(node.func.value), node.func.attr
            if (receiver, method) == ("tx", "together"):
                for argument in node.args:
                    pair = _each(argument)
                    assert isinstance(pair, ast.Tuple)
                    name, parameters = pair.elts
                    keys = parameters.keys if isinstance(parameters, ast.Dict) else [None]
                    yield _text(name), {"**" if key is None else _text(key) for key in keys}
            elif method in _METHODS.get(receiver, ()):
                (name,) = node.args
                yield _text(name), {keyword.arg or "**" for keyword in node.keywords}


_METHODS = {"tx": {"run", "one", "all", "last"}, "self._database": {"read"}}


def _each(node: ast.expr) -> ast.expr:
    """The argument, or what `*(... for ...)` gives one by one."""
    is_spread = isinstance(node, ast.Starred) and isinstance(node.value, ast.GeneratorExp)
    return node.value.elt if is_spread else node


def _text(node: ast.expr) -> str:
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
