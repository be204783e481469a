from __future__ import annotations

from pathlib import Path

import pytest

from services.kit.inference.placement import Provider
from services.local.data_dir import default_data_dir
from services.local.settings import LocalSettings, parse_argv

EVERYTHING = LocalSettings(
    data_dir=Path("/srv/some data"),
    device=Provider.CPU,
    allow_cpu_fallback=True,
    models_dir=Path("/srv/models"),
    http_port=8080,
    threads=3,
    workers=False,
)


@pytest.mark.parametrize("settings", [LocalSettings(data_dir=Path("/srv/d")), EVERYTHING], ids=["few", "all"])
def test_settings_come_back_from_their_command_line(settings: LocalSettings) -> None:
    assert parse_argv(settings.to_argv()) == (settings, None)


def test_the_descriptor_is_no_setting() -> None:
    settings, ready_fd = parse_argv(["--data-dir", "/srv/d", "--ready-fd", "7"])
    assert (settings, ready_fd) == (LocalSettings(data_dir=Path("/srv/d")), 7)


def test_a_relative_data_directory_is_taken_from_where_the_user_stands() -> None:
    assert parse_argv(["--data-dir", "here"])[0].data_dir == Path.cwd() / "here"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"XDG_DATA_HOME": "/srv/xdg"}, Path("/srv/xdg/screenalytics")),
        ({"XDG_DATA_HOME": "not/absolute"}, Path.home() / ".local/share/screenalytics"),
        ({}, Path.home() / ".local/share/screenalytics"),
    ],
    ids=["set", "relative", "unset"],
)
def test_data_goes_where_xdg_says(env: dict[str, str], expected: Path) -> None:
    assert default_data_dir(env) == expected
