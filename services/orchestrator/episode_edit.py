"""What a user may say about an episode, with a field mask as in AIP-134. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from services.kit.errors import InvalidRequest

_ALL = "*"
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
LabelKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,62}$")]
LabelValue = Annotated[str, StringConstraints(max_length=255, pattern=_PRINTABLE)]


class EpisodeEdit(BaseModel):
    """`labels` are replaced as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(default="", max_length=200, pattern=_PRINTABLE)
    labels: dict[LabelKey, LabelValue] = Field(default={}, max_length=64)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Raises `InvalidRequest`."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise InvalidRequest(faults) from error

    def changes(self, update_mask: str) -> dict[str, Any]:
        """Values by field: of those in the mask, a comma list, where one left out of the edit is cleared; `*`
        is all of them. Without a mask, of those that the edit has. Raises `InvalidRequest`."""
        known = list(type(self).model_fields)
        names = (
            [name.strip() for name in update_mask.split(",")] if update_mask else list(self.model_fields_set)
        )
        if names == [_ALL]:
            names = known
        if unknown := sorted(set(names) - set(known)):
            raise InvalidRequest(
                f"update_mask names what cannot be changed: {', '.join(unknown)[:200]}",
                hint=f"known: {', '.join(known)}",
            )
        return {name: getattr(self, name) for name in names}
