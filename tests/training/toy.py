"""A task small enough for hundreds of steps a second: a noisy line, learned by a small net."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from famulus.config.schema import Strict, Training
from famulus.feed.source import Source, Splits
from famulus.launch.plan import Ready
from famulus.tasks.base import Floor, Picture, Task


class ToySource(Source):
    """y = Wx + noise, in memory."""

    def __init__(self, samples: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.x = torch.from_numpy(random.normal(size=(samples, 6)).astype(np.float32))
        mix = torch.arange(12, dtype=torch.float32).reshape(6, 2) / 12 - 0.5
        self.y = self.x @ mix
        self.fingerprint = f"toy-{samples}-{seed}"

    def __len__(self) -> int:
        return len(self.x)

    def gather(self, indices, seeds):
        chosen = torch.from_numpy(np.asarray(indices))
        return {"x": self.x[chosen], "y": self.y[chosen]}

    def finish(self, batch, seeds):
        return batch

    def to(self, device):
        return self


class ToyConfig(Strict):
    """Nothing to set."""


class Toy(Task):
    """`poison`: a function of the step that multiplies the loss, to provoke NaN and spikes."""

    Config = ToyConfig

    def __init__(
        self,
        samples: int = 96,
        dropout: float = 0.2,
        poison: Callable[[int], float] = lambda step: 1.0,
    ) -> None:
        super().__init__(None, {})
        self.samples, self.dropout, self.poison = samples, dropout, poison
        self.seen: list[list[int]] = []  # indices of each training batch

    def data(self) -> Splits:
        return Splits(ToySource(self.samples, 0), ToySource(40, 1))

    def build(self) -> nn.Module:
        layers = nn.Linear(6, 16), nn.Tanh(), nn.Dropout(self.dropout), nn.Linear(16, 2)
        return nn.Sequential(*layers)

    def loss(self, model, batch, at):
        self.seen.append(batch["index"].tolist())
        total = (model(batch["x"]) - batch["y"]).square().mean() * self.poison(at.step)
        return {"error": total, "total": total}

    def scores(self, model, batches):
        total = count = 0.0
        for batch in batches:
            total += float((model(batch["x"]) - batch["y"]).square().mean(1).sum())
            count += len(batch["x"])
        return {"loss": total / count}

    def floors(self, data):
        return {"zero": Floor("loss", float(data.validation.y.square().mean()), "zero image")}

    def pictures(self, model, fixed):
        row = np.zeros((4, 4 * len(fixed["x"]), 3), np.uint8)
        return {"rows": Picture({"black": row, "grey": row + 128})}

    def apply(self, model, inputs, out, options):
        raise AssertionError("not used")


def training(**changes: Any) -> Training:
    """Defaults that make every event happen within 40 steps."""
    base = {
        "inputs": 640,
        "batch": 16,
        "optimizer": {"name": "adam", "lr": 0.01},
        "schedule": {"name": "cosine"},
        "precision": "fp32",
        "validate_every": {"steps": 10},
        "checkpoint_every": {"steps": 8},
        "pictures_every": {"steps": 20},
        "log_every": {"steps": 4},
    }
    return Training.model_validate({**base, **changes})


def ready(task: Toy, settings: Training, id_: str = "0123456789ab", **more: Any) -> Ready:
    """A cell of experiment `toy` around `task`."""
    config = {"task": "toy", "training": settings.model_dump(mode="json")}
    return Ready("toy", "cell", id_, config, settings, task, task.data(), **more)
