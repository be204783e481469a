"""What is on its way out, announced by `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) on each use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from fastapi import Response

from services.orchestrator.http_api.description import header


@dataclass(frozen=True, slots=True)
class Retirement:
    """Works until `sunset_at`, at least a year after `since`."""

    since: datetime
    sunset_at: datetime

    def announce(self, response: Response) -> None:
        response.headers["Deprecation"] = f"@{int(self.since.timestamp())}"
        response.headers["Sunset"] = format_datetime(self.sunset_at, usegmt=True)


# `limit` of `list_jobs`, which knows no next page; `page_size` takes its place.
JOBS_LIMIT = Retirement(datetime(2026, 11, 25, tzinfo=UTC), datetime(2027, 11, 25, tzinfo=UTC))

ANNOUNCED = {
    "Deprecation": header("Since when what was asked for should not be used any more (RFC 9745)."),
    "Sunset": header("When it stops to work (RFC 8594)."),
}
