"""Who may, as pure rules."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.kit.errors import InvalidSettings
from services.orchestrator.access.api_key import key_text, new_key_id, new_secret, presented
from services.orchestrator.access.exposure import AccessMode, Exposure, exposure, is_asked_from_here
from services.orchestrator.access.rate import CallRate
from services.orchestrator.access.tokens import TokenVerifier
from services.orchestrator.settings import OidcSettings

LOCAL = ["127.0.0.1", "::1"]
EVERYWHERE = ["127.0.0.1", "0.0.0.0"]


@pytest.mark.parametrize(
    ("mode", "hosts", "allowed", "is_open"),
    [
        (AccessMode.AUTO, LOCAL, False, True),
        (AccessMode.AUTO, EVERYWHERE, False, False),
        (AccessMode.AUTO, EVERYWHERE, True, True),
        (AccessMode.OPEN, LOCAL, False, True),
        (AccessMode.OPEN, EVERYWHERE, True, True),
        (AccessMode.REQUIRED, LOCAL, False, False),
        (AccessMode.REQUIRED, EVERYWHERE, True, False),
    ],
)
def test_access_is_open_where_only_this_machine_can_connect_or_it_was_said(
    mode: AccessMode, hosts: list[str], allowed: bool, is_open: bool
) -> None:
    found = exposure(mode, hosts, allow_anyone_who_can_connect=allowed)
    assert found == Exposure(is_open, is_local=hosts is LOCAL)


def test_one_listener_that_others_reach_is_enough_to_refuse_open_access() -> None:
    with pytest.raises(InvalidSettings, match=r"0\.0\.0\.0"):
        exposure(AccessMode.OPEN, EVERYWHERE, allow_anyone_who_can_connect=False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:80", "localhost:80", "[::1]:80", "[::1]", "127.9.9.9"]
)
def test_an_address_of_this_machine_is_one(host: str) -> None:
    assert is_asked_from_here(host, "")


@pytest.mark.parametrize(
    "host", ["", ":80", "evil.test", "localhost.evil.test:80", "127.0.0.1.evil.test", "[::2]"]
)
def test_any_other_name_is_not(host: str) -> None:
    assert not is_asked_from_here(host, "")


def test_a_key_is_read_as_it_was_written_and_nothing_else_is() -> None:
    key_id, secret = new_key_id(), new_secret()
    text = key_text(key_id, secret)
    key = presented(text)
    assert key is not None
    assert key.key_id == key_id
    for other in (text + "\n", " " + text, text.replace("sk_", "SK_"), text[:-1], f"sk_{secret}", "", "sk_é"):
        assert presented(other) is None, other


def test_a_caller_has_its_burst_at_once_and_then_its_rate() -> None:
    rate = CallRate(per_second=2, burst=3)
    assert [rate.wait_s("a", 0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.wait_s("b", 0.0) == 0
    assert rate.wait_s("a", 0.5) == 0
    assert rate.wait_s("a", 0.5) == 0.5
    assert [rate.wait_s("a", 1000.0) for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_rate_of_nothing_limits_nobody() -> None:
    assert {CallRate(per_second=0, burst=1).wait_s("a", 0.0) for _ in range(10)} == {0.0}


@pytest.mark.parametrize(
    "fields",
    [
        {"issuer": "https://i", "jwks_url": "https://i/keys"},
        {"issuer": "https://i", "audience": "a"},
        {"issuer": "https://i", "audience": "a", "jwks_url": "https://i/keys", "jwks_file": "/keys"},
        {"issuer": "https://i", "audience": "a", "jwks_url": "http://i/keys"},
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"algorithms": []},
    ],
)
def test_an_issuer_that_could_not_be_trusted_is_refused_as_a_setting(fields: dict[str, object]) -> None:
    with pytest.raises((ValidationError, InvalidSettings)):
        TokenVerifier.of(OidcSettings.model_validate(fields))
