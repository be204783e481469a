"""Writes what the chart takes from elsewhere: `python -m deploy.helm.generate [--check]`.

`values.schema.json` from `schema.py`; the table of `README.md` from the comments of `values.yaml`; the rules of
the objectives from `slos.py`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from deploy.helm.schema import values
from deploy.helm.slos import rules

CHART = Path(__file__).resolve().parent / "screenalytics"
_HEADING = "## Values\n"
_KEY = re.compile(r"^( *)([\w.-]+):(?: (.*))?$")


def described_values(text: str) -> Iterator[tuple[str, str]]:
    """(path, description) of each key that stands below a comment of the form `# -- text`, and on."""
    parents: list[tuple[int, str]] = []
    description = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            description = stripped[5:]
        elif stripped.startswith("# ") and description:
            description += f" {stripped[2:]}"
        elif found := _KEY.match(line):
            indent, name = len(found[1]), found[2]
            parents = [parent for parent in parents if parent[0] < indent] + [(indent, name)]
            if description:
                yield ".".join(part for _, part in parents), description
            description = ""


def table() -> Iterator[str]:
    text = (CHART / "values.yaml").read_text("utf-8")
    defaults = yaml.safe_load(text)
    yield "| value | default | what |"
    yield "|---|---|---|"
    for path, description in described_values(text):
        default = defaults
        for part in path.split("."):
            default = default[part]
        is_long = isinstance(default, dict) and bool(default)
        shown = "see `values.yaml`" if is_long else f"`{json.dumps(default)}`"
        yield f"| `{path}` | {shown} | {description.replace('|', '&#124;')} |"


def generated() -> dict[Path, str]:
    readme = (CHART / "README.md").read_text("utf-8")
    head = readme[: readme.index(_HEADING)]
    return {
        CHART / "files" / "slos.yaml": rules(),
        CHART / "values.schema.json": json.dumps(values(), indent=1) + "\n",
        CHART / "README.md": "\n".join([f"{head}{_HEADING}", *table()]) + "\n",
    }


def main() -> int:
    made = generated()
    if "--check" not in sys.argv:
        for path, text in made.items():
            path.write_text(text, "utf-8")
        return 0
    stale = [path.name for path, text in made.items() if not path.is_file() or path.read_text("utf-8") != text]
    if stale:
        print(f"stale in the chart: {', '.join(stale)}; run: make docs", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
