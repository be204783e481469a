"""A storm of kills over real jobs: is anything lost, or done twice?

Orchestrator replicas, workers and nats-server are killed with -9, Postgres is stopped as by a crash, and some
workers are frozen until another has done their task. Exit status 0 only if every job succeeded with every
task taken in exactly once, no message had to be published anew, and no effect happened twice.

`--mutant` takes one safeguard out of the engine: the storm must then end with exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos import audit, mutants
from chaos.load import Users
from chaos.system import ChaosSystem, Member, Shape

from services.kit.stages import Stage

_TARGETS = {"worker": 0.6, "orchestrator": 0.2, "nats": 0.1, "postgres": 0.1}


@dataclass
class Storm:
    system: ChaosSystem
    users: Users
    jobs: int
    kills: int
    zombies: int
    rng: random.Random
    pause_s: float
    targets: list[str] = field(default_factory=lambda: list(_TARGETS))
    killed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_TARGETS, 0))
    killed_workers: list[tuple[float, int]] = field(default_factory=list)
    frozen: set[int] = field(default_factory=set)
    thawed: list[audit.Execution] = field(default_factory=list)

    async def run(self) -> None:
        names = [f"{'slow' if n % 25 == 7 else 'ep'}-{n:05d}" for n in range(self.jobs)]
        await self.users.register_all(names)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._submit(names))
            group.create_task(self._kill())
            group.create_task(self.freeze())

    async def _submit(self, names: list[str]) -> None:
        """In step with the kills, so that there is work for as long as there are kills."""
        for number, name in enumerate(names):
            while number / len(names) > (sum(self.killed.values()) + 1) / (self.kills + 1):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await self.users.submit(name)

    async def _kill(self) -> None:
        while sum(self.killed.values()) < self.kills:
            await asyncio.sleep(self.rng.expovariate(1 / self.pause_s))
            (kind,) = self.rng.choices(self.targets, [_TARGETS[target] for target in self.targets])
            self.killed[kind] += self._kill_one(kind)

    def _kill_one(self, kind: str) -> int:
        """1 if there was one to kill."""
        system, down_s = self.system, self.rng.uniform(0, 2)
        if kind == "postgres":
            return int(system.kill_postgres(down_s=down_s) is not None)
        if kind == "nats":
            return int(system.nats.signal(signal.SIGKILL, down_s=down_s) is not None)
        member = self.rng.choice(system.orchestrators if kind == "orchestrator" else self._workers())
        if member.pid in self.frozen:
            return 0
        pid = member.signal(signal.SIGKILL)
        if pid is not None and kind == "worker":
            self.killed_workers.append((time.time(), pid))
        return int(pid is not None)

    def _workers(self) -> list[Member]:
        """Those in the middle of a task, if there are any and the dice say so: they have something to lose."""
        busy = {e.pid for e in self._in_work()}
        chosen = [m for m in self.system.workers if m.pid in busy and m.pid not in self.frozen]
        return chosen if chosen and self.rng.random() < 0.7 else self.system.workers

    def _in_work(self) -> list[audit.Execution]:
        last = {e.pid: e for e in audit.executions(self.system.journal)}
        return [e for e in last.values() if e.event == "start"]

    async def freeze(self) -> None:
        """A worker in the middle of a task is stopped until another attempt has done it, then goes on."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.zombies):
                if (caught := await self._caught_working()) is None:
                    return
                group.create_task(self._thaw_when_done(caught))

    async def _caught_working(self) -> audit.Execution | None:
        give_up_at = time.monotonic() + 60
        while time.monotonic() < give_up_at:
            await asyncio.sleep(self.rng.uniform(0.2, 0.6))
            if len(self.frozen) >= 2:
                continue
            detectors = {m.pid for m in self.system.workers if m.name.startswith(Stage.DETECT_TRACK)}
            busy = [e for e in self._in_work() if e.pid in detectors - self.frozen]
            if busy:
                chosen = self.rng.choice(busy)
                member = next(m for m in self.system.workers if m.pid == chosen.pid)
                self.frozen.add(chosen.pid)
                member.signal(signal.SIGSTOP)
                if chosen in self._in_work():
                    return chosen
                self._thaw(member, chosen.pid)  # it had ended in between
        return None

    async def _thaw_when_done(self, frozen: audit.Execution) -> None:
        async def is_over() -> bool:
            found = await audit.rows(
                self.system.dsn, "SELECT state FROM tasks WHERE task_id = %s", frozen.task_id
            )
            return not found or found[0]["state"] != "live"

        await audit.until(is_over, within_s=90, every_s=0.05)
        for member in self.system.workers:
            if member.pid == frozen.pid:
                self.thawed.append(frozen)
                self._thaw(member, frozen.pid)
        self.frozen.discard(frozen.pid)

    def _thaw(self, member: Member, pid: int) -> None:
        member.signal(signal.SIGCONT)
        self.frozen.discard(pid)


async def storm(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    shape = Shape(orchestrators=2, scale=options.scale, mutant=options.mutant, work_s=options.work_s)
    began = time.monotonic()
    async with ChaosSystem(home, shape).running() as system:
        users = Users(system.urls, seed=options.seed)
        rng = random.Random(options.seed)
        try:
            made = Storm(
                system,
                users,
                options.jobs,
                options.kills,
                options.zombies,
                rng,
                options.pause_s,
                options.targets,
            )
            await made.run()
            patience_s = options.patience_s or 60 + 120 * options.scale + options.jobs

            async def is_over() -> bool:
                return await audit.unfinished_jobs(system.dsn) == 0

            await audit.until(is_over, within_s=patience_s)
            return await _figures(system, made, options) | {"seconds": round(time.monotonic() - began, 1)}
        finally:
            await users.close()


async def _figures(system: ChaosSystem, made: Storm, options: argparse.Namespace) -> dict[str, Any]:
    dsn = system.dsn

    async def is_settled() -> bool:
        opened = await audit.rows(dsn, "SELECT 1 FROM attempts WHERE state = 'open' LIMIT 1")
        return not opened and await audit.unsent_outbox(dsn) == 0

    await audit.until(is_settled, within_s=options.patience_s or 20 + 60 * options.scale)
    lost = await audit.lost_jobs(dsn, options.jobs)
    twice = await audit.duplicates(dsn)
    republished = system.log_lines("again: its message was gone")
    orphans = await audit.orphan_files(dsn, system.store_dir)
    for text in [*lost, *twice, *orphans][:20]:
        print(text, file=sys.stderr)
    recovery = await audit.recoveries(dsn, system.journal, made.killed_workers)
    attempts = await audit.rows(dsn, "SELECT count(*) AS n, max(generation) AS most FROM attempts")
    return {
        "jobs": options.jobs,
        "kills": sum(made.killed.values()),
        "kills_by_kind": made.killed,
        "zombies": options.zombies,
        "seed": options.seed,
        "mutant": options.mutant,
        "scale": options.scale,
        "lost": len(lost) + republished,
        "lost_jobs": len(lost),
        "lost_messages": republished,
        "duplicated": len(twice),
        "unsent_outbox": await audit.unsent_outbox(dsn),
        "orphan_files": len(orphans),
        "recovery_p50_s": audit.percentile(recovery, 0.5),
        "recovery_p99_s": audit.percentile(recovery, 0.99),
        "recoveries": len(recovery),
        "fenced": await audit.fenced(dsn),
        "attempts": attempts[0]["n"],
        "most_attempts": attempts[0]["most"],
        "answers": made.users.answers,
    }


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument(
        "--targets", nargs="+", choices=_TARGETS, default=list(_TARGETS), help="what is killed (default: all)"
    )
    parser.add_argument("--zombies", type=int, default=4, help="workers frozen until their task is done")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", choices=mutants.NAMES)
    parser.add_argument("--pause-s", type=float, default=1.0, help="mean time between two kills")
    parser.add_argument("--scale", type=float, default=1.0, help="shortens the broker's patience of 20 s")
    parser.add_argument("--patience-s", type=float, help="how long jobs may take once the kills are over")
    parser.add_argument("--work-s", type=float, default=0.1, help="the longest that an ordinary task takes")
    parser.add_argument("--home", type=Path, help="keep the files of the run here")
    parser.add_argument("--json", action="store_true", help="one line (it is always one)")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    options = arguments(given)
    home = options.home or Path(tempfile.mkdtemp(prefix="screenalytics-storm-"))
    try:
        figures = asyncio.run(storm(options, home))
    finally:
        if options.home is None:
            shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(figures))
    return 1 if figures["lost"] or figures["duplicated"] else 0


if __name__ == "__main__":
    sys.exit(main())
