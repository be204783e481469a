"""A training run that can be stopped at any moment: checkpoints, averaged weights, and the log of its curve."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn


class AveragedWeights:
    """Exponential moving average of a network's weights and statistics."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self._decay = decay

    def update(self, net: nn.Module, step: int) -> None:
        # A young average would mostly remember the random start.
        keep = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, theirs in zip(self.net.state_dict().values(), net.state_dict().values(), strict=True):
                if mine.dtype.is_floating_point:
                    mine.lerp_(theirs, 1 - keep)
                else:
                    mine.copy_(theirs)


@dataclass
class Learner:
    """All that a run must remember to go on: weights, their average, the optimiser, and the step."""

    net: nn.Module
    average: AveragedWeights
    optimiser: torch.optim.Optimizer
    step: int = 0

    def save(self, folder: RunFolder) -> None:
        folder.save(
            {
                "net": self.net.state_dict(),
                "average": self.average.net.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
            }
        )

    def restore(self, folder: RunFolder) -> None:
        """From the last checkpoint, if there is one."""
        state = folder.load()
        if state is not None:
            self.net.load_state_dict(state["net"])
            self.average.net.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]

    def set_rate(self, rate: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def follow(self, loss: torch.Tensor, *, largest_gradient: float = math.inf) -> None:
        """One step down the gradient of `loss`."""
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), largest_gradient)
        self.optimiser.step()
        self.average.update(self.net, self.step)


class RunFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoint(self) -> Path:
        return self._folder / "checkpoint.pt"

    def save(self, state: dict[str, Any]) -> None:
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.checkpoint)

    def load(self) -> dict[str, Any] | None:
        if not self.checkpoint.exists():
            return None
        state: dict[str, Any] = torch.load(self.checkpoint, weights_only=True)
        return state

    def log(self, record: dict[str, Any]) -> None:
        with (self._folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        print(json.dumps(record), flush=True)


def learning_rate(step: int, *, peak: float, warmup: int, end: int, cooldown: int) -> float:
    """Rises over `warmup` steps, holds, and falls to zero over the last `cooldown` before `end`."""
    rising = min(1.0, (step + 1) / warmup)
    falling = min(1.0, max(0.0, (end - step) / max(1, cooldown)))
    return peak * rising * falling
