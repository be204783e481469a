"""How a page of a list is asked for over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from services.orchestrator.paging import DEFAULT_SIZE, MAX_SIZE, PageRequest


def _page(
    page_size: Annotated[
        int, Query(ge=0, le=2**31 - 1, description=f"0: {DEFAULT_SIZE}; more than {MAX_SIZE} are never sent")
    ] = 0,
    page_token: Annotated[str, Query(description="the `next_page_token` of the page before")] = "",
) -> PageRequest:
    return PageRequest(page_size, page_token)


Pages = Annotated[PageRequest, Depends(_page)]
