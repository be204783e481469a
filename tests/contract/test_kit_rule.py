"""`services/kit` holds what a second service needed: a module that fewer than two use moves home."""

from __future__ import annotations

import grimp
import pytest

KIT = "services.kit"


def service_of(module: str) -> str:
    return module.split(".")[1]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("services", cache_dir=None)


def users(graph: grimp.ImportGraph, module: str) -> set[str]:
    """Services that import the module, itself or by way of other modules of the kit."""
    found: set[str] = set()
    seen, ahead = {module}, [module]
    while ahead:
        for importer in graph.find_modules_that_directly_import(ahead.pop()) - seen:
            seen.add(importer)
            if importer.startswith(f"{KIT}."):
                ahead.append(importer)
            else:
                found.add(service_of(importer))
    return found


def test_every_module_of_the_kit_is_used_by_two_services_at_least(graph: grimp.ImportGraph) -> None:
    modules = {m for m in graph.modules if m.startswith(f"{KIT}.") and not graph.find_children(m)}
    assert modules
    lonely = {module: sorted(users(graph, module)) for module in modules if len(users(graph, module)) < 2}
    assert lonely == {}


def test_the_kit_imports_no_service(graph: grimp.ImportGraph) -> None:
    imported = {
        other
        for module in graph.modules
        if module.startswith(KIT)
        for other in graph.find_modules_directly_imported_by(module)
    }
    assert {service_of(m) for m in imported} <= {"kit", "pb"}
