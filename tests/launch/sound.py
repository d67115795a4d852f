"""A sound little task, and how its broken twins are tried: which class says, by the signs of its
pixels? Everything that a control needs, nothing to download, a millisecond a step.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from famulus.config.schema import Strict, Training
from famulus.feed.source import Source, Splits
from famulus.launch.check import controls
from famulus.launch.plan import Ready
from famulus.tasks.base import Floor, Task

CLASSES = ("left", "right", "both")


@dataclass
class Rows(Source):
    """`image` B1YX around 0 and `label` B; `more` changes what comes out (a fault)."""

    image: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] = CLASSES
    noise: float = 0.0  # of augmentation, drawn from each sample's seed
    fingerprint: str = "rows"

    def __len__(self) -> int:
        return len(self.labels)

    def gather(self, indices, seeds):
        return {
            "image": torch.from_numpy(self.image[indices]),
            "label": torch.from_numpy(self.labels[indices]),
        }

    def finish(self, batch, seeds):
        if not self.noise:
            return batch
        drawn = [np.random.default_rng(int(s)).normal(size=batch["image"][0].shape) for s in seeds]
        noise = torch.from_numpy(np.stack(drawn).astype(np.float32))
        return {**batch, "image": batch["image"] + self.noise * noise}

    def to(self, device):
        return self


def rows(count: int, seed: int, **changed: Any) -> Rows:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(count, 1, 4, 4)).astype(np.float32)
    image -= image.mean((1, 2, 3), keepdims=True)
    labels = (np.arange(count) % 3).astype(np.int64)
    image[labels != 1, 0, :, 0] += 2
    image[labels != 0, 0, :, 3] += 2
    return replace(Rows(image / 1.5, labels), **changed)


class Config(Strict):
    pass


class Sound(Task):
    Config = Config

    def __init__(self, train: Any = None, validation: Any = None) -> None:
        """Two parts, or (config, parents) where a control makes it anew: then the sound ones."""
        super().__init__(Config(), {})
        parts = [p if isinstance(p, Rows) else None for p in (train, validation)]
        self.splits = Splits(parts[0] or rows(240, 0), parts[1] or rows(90, 1))

    def data(self):
        return self.splits

    def build(self):
        return nn.Sequential(
            nn.Flatten(), nn.Linear(16, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 3)
        )

    def loss(self, model, batch, at):
        return {"total": F.cross_entropy(model(batch["image"]), batch["label"])}

    def scores(self, model, batches):
        total, seen = 0.0, 0
        for batch in batches:
            loss = F.cross_entropy(model(batch["image"]), batch["label"], reduction="sum")
            total, seen = total + float(loss), seen + len(batch["label"])
        return {"loss": total / seen}

    def floors(self, data):
        return {
            "best constant": Floor("loss", float(np.log(3)), "best constant"),
            "initial loss": Floor("loss", float(np.log(3)), "initial loss"),
        }

    def pictures(self, model, fixed):
        return {}

    def apply(self, model, inputs, out, options):
        raise NotImplementedError


class Unsettled(Sound):
    """Batch norm whose running statistics hardly follow."""

    def build(self):
        class Wide(nn.Module):  # far from mean 0 and sd 1, where running statistics start
            def forward(self, x):
                return 40 * x + 100

        norm = nn.BatchNorm1d(24, momentum=1e-4)
        return nn.Sequential(
            nn.Flatten(), Wide(), nn.Linear(16, 24), norm, nn.ReLU(), nn.Linear(24, 3)
        )


class Counts(Sound):
    """State of the task itself: what `resume` is there to find."""

    seen = 0

    def loss(self, model, batch, at):
        self.seen += 1
        return {"total": super().loss(model, batch, at)["total"] * (1 + self.seen % 7)}


def ready(task: Task, **training: Any) -> Ready:
    given: dict[str, Any] = {
        "inputs": 12_000,
        "batch": 24,
        "optimizer": {"name": "adam", "lr": 0.003},
        "precision": "fp32",
        "workers": 0,
        "threads": 1,
    }
    settings = Training.model_validate(given | training)
    return Ready("sound", "sound", "0" * 10, {}, settings, task, task.data())


def found(task: Task, *only: str, budget_s: float = 60.0, **training: Any) -> dict[str, Any]:
    """Controls by name."""
    told = controls(ready(task, **training), budget_s, set(only))
    return {control.name: control for control in told}


def cause(task: Task, control: str, **training: Any) -> str:
    """What that control names; empty where it accuses nothing."""
    told = found(task, control, **training)
    return next(c.cause for c in told.values() if c.name == control)


def drawing(kind: type[Rows]) -> Rows:
    """The sound training rows as a source that draws numbers."""
    sound = rows(240, 0)
    return kind(sound.image, sound.labels)
