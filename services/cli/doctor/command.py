"""Every check in order, and what the command ends with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from services.cli.doctor import checks
from services.cli.doctor.settings import DoctorSettings
from services.cli.models.commands import ModelOptions
from services.cli.outcome import reported
from services.cli.screen import Screen
from services.kit.errors import AcceleratorUnavailable
from services.kit.inference.catalog import Catalog
from services.kit.inference.placement import Provider
from services.kit.inference.pool import ModelPool
from services.kit.inference.runtimes import runtime_of
from services.kit.inference.start_check import Finding, Verdict, start_check
from services.kit.settings import read_settings
from services.kit.threads import apply_cap, available_cores, thread_cap
from services.local.data_dir import DataDir
from services.local.nats import EmbeddedNats
from services.local.postgres import EmbeddedPostgres
from services.local.state import read_state


@dataclass(frozen=True)
class DoctorOptions:
    """`provider` None: the one of the settings, which ask for a GPU unless told otherwise."""

    provider: Provider | None
    models: ModelOptions


@dataclass(frozen=True)
class Addresses:
    """Of the settings; else of the system that runs on the data directory; else none."""

    postgres: str
    nats: str
    store: str
    store_options: dict[str, str]


def examine(options: DoctorOptions) -> None:
    """Exit status 0 only if nothing failed: what was asked for is really in effect. Raises `typer.Exit`."""
    screen = Screen(as_json=options.models.as_json)
    with reported(screen):
        settings = read_settings(DoctorSettings)
        provider = options.provider or settings.inference.provider
        catalog = options.models.catalog()
        cap = thread_cap(settings.threads.max_cpu, available_cores())
        apply_cap(cap)
        addresses = _addresses(settings, options.models.overlay_dir.parent)
        findings = list(_findings(settings, catalog, provider, cap, addresses))
        screen.table(_table(findings))
        failed = [finding for finding in findings if finding.verdict is Verdict.FAILED]
        for hint in dict.fromkeys(finding.error.hint for finding in failed if finding.error):
            screen.say(f"hint: {hint}")
        screen.json_line(
            {
                "requested": provider,
                "ok": not failed,
                "findings": [_record(finding) for finding in findings],
            }
        )
    if failed:
        raise typer.Exit(_exit_status(failed))


def _findings(
    settings: DoctorSettings, catalog: Catalog, provider: Provider, cap: int, addresses: Addresses
) -> Iterator[Finding]:
    # Doctor asks what is really there, so nothing may stand in for it.
    pool = ModelPool(catalog, requested=provider, allow_cpu=False, runtime=runtime_of(settings, catalog))
    names = [entry.name for entry in catalog.entries()]
    # A server has its own files, and serves the models that its repository was written for.
    here = [catalog.default(role) for role in ("detector", "embedder", "similarity")]
    examined = here if settings.triton.url else [name for name in names if catalog.find(name) is not None]
    yield from start_check(pool, examined, threads=cap)
    for name in names:
        if name not in examined:
            yield Finding(f"model {name}", Verdict.SKIPPED, _why_skipped(settings))
    yield checks.threads(cap)
    yield checks.ffmpeg()
    yield checks.postgres(addresses.postgres)
    yield checks.nats(addresses.nats)
    yield checks.store(addresses.store, addresses.store_options)
    yield checks.triton(settings.triton.url)


def _why_skipped(settings: DoctorSettings) -> str:
    return "no default model" if settings.triton.url else "its file is not there"


def _addresses(settings: DoctorSettings, data_dir: Path) -> Addresses:
    stated = Addresses(
        settings.postgres.dsn, settings.nats.url, settings.store.url, dict(settings.store.options)
    )
    running = read_state(data_dir)
    if running is None:
        return stated
    directory = DataDir(data_dir)
    secrets = directory.secrets()
    ports = {part.name: part.port or 0 for part in running.parts}
    postgres = EmbeddedPostgres(directory.postgres, ports.get("postgres", 0), secrets.postgres_password)
    nats = EmbeddedNats(directory.nats, ports.get("nats", 0), 0, secrets.nats_password)
    return replace(
        stated,
        postgres=stated.postgres or postgres.dsn,
        nats=stated.nats or nats.url,
        store=stated.store or directory.store.as_uri(),
    )


def _exit_status(failed: list[Finding]) -> int:
    """A missing accelerator outranks the rest."""
    errors = [finding.error for finding in failed if finding.error is not None]
    if any(isinstance(error, AcceleratorUnavailable) for error in errors):
        return AcceleratorUnavailable.exit_status
    return errors[0].exit_status if errors else 1


def _record(finding: Finding) -> dict[str, Any]:
    error = finding.error
    return {
        "check": finding.check,
        "verdict": finding.verdict,
        "detail": finding.detail,
        **({"facts": finding.facts} if finding.facts else {}),
        **({"code": error.code, "hint": error.hint} if error else {}),
    }


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("check", "verdict", "found"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        table.add_row(Text(finding.check), Text(finding.verdict), Text(finding.detail))
    return table
