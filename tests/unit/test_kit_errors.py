"""The error tree: stable codes, and a class for each."""

from __future__ import annotations

import pytest

from services.kit import errors
from services.kit.errors import ScreenalyticsError, error_class

TREE = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ScreenalyticsError)]


def test_codes_are_unique() -> None:
    codes = [cls.code for cls in TREE]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("cls", TREE, ids=lambda cls: cls.__name__)
def test_a_code_leads_back_to_its_class(cls: type[ScreenalyticsError]) -> None:
    assert error_class(cls.code) is cls


def test_a_code_of_a_newer_release_is_an_error_all_the_same() -> None:
    assert error_class("from-the-future") is ScreenalyticsError


@pytest.mark.parametrize("cls", TREE, ids=lambda cls: cls.__name__)
def test_a_class_is_drawn_in_the_tree_at_the_top_of_its_file(cls: type[ScreenalyticsError]) -> None:
    assert cls.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("cls", TREE, ids=lambda cls: cls.__name__)
def test_a_class_has_everything_the_three_interfaces_need(cls: type[ScreenalyticsError]) -> None:
    assert 400 <= cls.http_status < 600
    assert cls.grpc_status.isupper()
    assert cls.exit_status in {1, 2, 3, 4}
    assert cls.title
    assert cls.code == cls.code.lower()


def test_bad_input_is_never_blamed_on_the_server() -> None:
    for cls in TREE:
        if issubclass(cls, errors.InvalidInput):
            assert cls.http_status < 500
            assert cls.exit_status == 2


def test_the_exit_statuses_are_those_of_the_command() -> None:
    assert errors.StageFailed.exit_status == 1
    assert errors.AcceleratorUnavailable.exit_status == 3
    assert all(c.exit_status == 4 for c in TREE if issubclass(c, errors.SystemUnavailable))


def test_a_hint_stands_in_the_text() -> None:
    assert str(errors.NotFound("no job", hint="look again")) == "no job (look again)"
    assert str(errors.NotFound("no job")) == "no job"
