"""Page tokens: bound to their query, and of no use for anything else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.errors import InvalidPageToken, InvalidRequest
from services.orchestrator.paging import DEFAULT_SIZE, MAX_SIZE, PageRequest, begin_after, page_of

QUERY = {"list": "jobs", "ep_id": "show"}


def token_after(key: str, query: dict[str, str] = QUERY) -> str:
    return page_of([key, "more"], PageRequest(1), query, lambda row: (row,)).next_page_token


@given(st.text(max_size=40))
def test_a_token_holds_the_key_of_the_last_item_shown(key: str) -> None:
    assert begin_after(PageRequest(1, token_after(key)), QUERY, parts=1) == (key,)


def test_the_last_page_has_no_token_though_it_is_full() -> None:
    page = page_of(["a", "b"], PageRequest(2), QUERY, lambda row: (row,))
    assert (page.items, page.next_page_token) == (["a", "b"], "")


def test_a_token_of_another_query_is_refused() -> None:
    with pytest.raises(InvalidPageToken, match="another query"):
        begin_after(PageRequest(token=token_after("a", QUERY | {"ep_id": "other"})), QUERY, parts=1)


def test_a_token_with_another_position_is_refused() -> None:
    raw = bytearray(base64.urlsafe_b64decode(token_after("a")))
    raw[raw.index(b'"a"') + 1] = ord("b")
    with pytest.raises(InvalidPageToken):
        begin_after(PageRequest(token=base64.urlsafe_b64encode(raw).decode()), QUERY, parts=1)


@given(
    st.text(min_size=1, max_size=60) | st.binary(max_size=60).map(lambda raw: base64.b64encode(raw).decode())
)
def test_any_other_text_is_refused(text: str) -> None:
    if text:
        with pytest.raises(InvalidPageToken):
            begin_after(PageRequest(token=text), QUERY, parts=1)


def test_no_cut_of_a_token_is_a_token() -> None:
    token = token_after("a key")
    for length in range(1, len(token)):
        with pytest.raises(InvalidPageToken):
            begin_after(PageRequest(token=token[:length]), QUERY, parts=1)


def test_a_size_is_the_default_when_it_is_zero_and_the_limit_when_it_is_past_it() -> None:
    assert [PageRequest(size).limit for size in (0, 7, 10**9)] == [DEFAULT_SIZE, 7, MAX_SIZE]
    with pytest.raises(InvalidRequest):
        _ = PageRequest(-1).limit
