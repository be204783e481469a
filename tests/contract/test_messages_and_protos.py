"""The dataclasses and the protos are one contract, field by field."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from typing import Any, get_args, get_type_hints

import pytest
from google.protobuf.descriptor import FieldDescriptor

import services.pb
from services.kit import messages
from services.pb.screenalytics.stage.v1 import stage_pb2

DATACLASSES: dict[str, Any] = {
    name: cls for name, cls in vars(messages).items() if isinstance(cls, type) and dataclasses.is_dataclass(cls)
}
PROTOS = stage_pb2.DESCRIPTOR.message_types_by_name


def test_every_dataclass_has_its_message_and_every_message_its_dataclass() -> None:
    assert set(DATACLASSES) == set(PROTOS)


@pytest.mark.parametrize("name", sorted(DATACLASSES))
def test_a_dataclass_has_exactly_the_fields_of_its_message(name: str) -> None:
    assert {f.name for f in dataclasses.fields(DATACLASSES[name])} == set(PROTOS[name].fields_by_name)


@pytest.mark.parametrize("name", sorted(DATACLASSES))
def test_what_may_be_none_has_presence_in_its_message(name: str) -> None:
    for field, hint in get_type_hints(DATACLASSES[name]).items():
        if type(None) in get_args(hint):
            assert PROTOS[name].fields_by_name[field].has_presence, field


@pytest.mark.parametrize("name", sorted(DATACLASSES))
def test_tuples_are_repeated_and_nothing_else_is(name: str) -> None:
    for field, hint in get_type_hints(DATACLASSES[name]).items():
        origin = getattr(hint, "__origin__", None)
        descriptor: FieldDescriptor = PROTOS[name].fields_by_name[field]
        assert descriptor.is_repeated == (origin in (tuple, dict)), field


def test_generated_modules_import() -> None:
    found = [info.name for info in pkgutil.walk_packages(services.pb.__path__, "services.pb.")]
    modules = [name for name in found if name.endswith(("_pb2", "_pb2_grpc"))]
    assert modules
    for name in modules:
        assert importlib.import_module(name)
