"""Who calls, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

from services.orchestrator.operations import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """`name`: `key:<public id>` or `sub:<subject of a token>`; empty where no credential is asked for."""

    name: str
    scopes: frozenset[Scope]

    @property
    def is_anyone(self) -> bool:
        return not self.name


ANYONE = Principal("", frozenset(Scope))
