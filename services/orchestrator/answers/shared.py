"""What answers have in common: times, tags, page tokens, problems."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Tag = Annotated[
    str, Field(description="another whenever what is shown is another; without the quotes of the ETag header")
]
NextPageToken = Annotated[
    str, Field(description="of the page that follows, for the same query; empty on the last")
]


class Problem(BaseModel):
    """RFC 9457. `code` is stable, and the last part of `type`; some codes bring members of their own."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
