"""Prints a CycloneDX bill of materials of this environment, from the metadata that every wheel carries.

`python sbom.py [--path DIR]`: DIR is searched too. Needs the standard library alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from typing import Any


def component(found: Distribution) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
    purl = f"pkg:pypi/{name}@{found.version}"
    licences = list(_licences(found))
    entry = {"type": "library", "bom-ref": purl, "name": name, "version": found.version, "purl": purl}
    return entry | ({"licenses": licences} if licences else {})


def _licences(found: Distribution) -> Iterator[dict[str, Any]]:
    if expression := found.metadata.get("License-Expression"):
        yield {"expression": expression}
        return
    for line in found.metadata.get_all("Classifier") or []:
        if line.startswith("License ::"):
            yield {"license": {"name": line.rpartition(" :: ")[2]}}


def bill(paths: list[str]) -> dict[str, Any]:
    """Sorted, and without a time or a serial number: equal environments have equal bills."""
    components = {entry["bom-ref"]: entry for entry in map(component, distributions(path=paths))}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [components[ref] for ref in sorted(components)],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print a CycloneDX bill of materials.")
    parser.add_argument("--path", action="append", default=[], help="one more folder of packages")
    print(json.dumps(bill([*parser.parse_args().path, *sys.path]), indent=1))
