"""Scores of a script's own validation: losses that no gradient was asked of, between two updates.

One validation is what a script computes between two updates of the weights, one mean a DataLoader.
Means are over samples, as the script's own would be over a whole data set. A sum (`reduction=
"sum"`) is given for as many samples as a training batch has, the unit of the training's loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from famulus.bridges.watch.criteria import Criterion, right_answers


@dataclass
class Mean:
    """A sum on the device, and what it is of."""

    total: Any = 0.0
    weight: int = 0
    summed: bool = False

    def add(self, value: Tensor, samples: int, summed: bool) -> None:
        value = value.detach().double() if value.device.type != "mps" else value.detach().float()
        self.total = self.total + (value if summed else value * samples)
        self.weight += samples
        self.summed = summed

    def read(self, batch: float) -> float:
        """`batch`: samples of a training batch."""
        mean = float(self.total) / self.weight
        return mean * batch if self.summed else mean


@dataclass
class Answers:
    """How many answers are right, and how often each class occurs."""

    right: Any = 0
    count: int = 0
    classes: Tensor | None = None

    def add(self, criterion: Criterion) -> None:
        known = right_answers(criterion)
        if known is None:
            return
        right, counts = known
        self.right, self.count = self.right + right.sum(), self.count + right.numel()
        if self.classes is not None and len(self.classes) != len(counts):
            width = max(len(self.classes), len(counts))
            pad = torch.nn.functional.pad
            counts = pad(counts, (0, width - len(counts)))
            self.classes = pad(self.classes, (0, width - len(self.classes)))
        self.classes = counts if self.classes is None else self.classes + counts


@dataclass
class Validation:
    """What has been computed since the last update, by the loader that its batches came from."""

    losses: dict[tuple[int, str], Mean] = field(default_factory=dict)
    answers: dict[int, Answers] = field(default_factory=dict)

    def add(self, loader: int, name: str, criterion: Criterion) -> None:
        """`loader`: 0 for none, else its id; `name`: of the score."""
        if criterion.samples == 0 or criterion.result.numel() != 1:
            return
        mean = self.losses.setdefault((loader, name), Mean())
        mean.add(criterion.result, criterion.samples, criterion.summed)
        self.answers.setdefault(loader, Answers()).add(criterion)

    def __bool__(self) -> bool:
        return bool(self.losses)

    def scores(self, batch: float, training: int) -> tuple[dict[str, float], float | None]:
        """Scores by name, and the share of the commonest class. `training`: the id of the loader
        that is trained on: what is computed on it is named so. Of several others the first one's
        names are plain. Waits for the device."""
        loaders = [key for key in dict.fromkeys(k for k, _ in self.losses) if key != training]
        ends = {key: "" if n == 0 else f" {n + 1}" for n, key in enumerate(loaders)}
        ends[training] = " on training data" if training else ends.get(training, "")
        found = {
            name + ends[key]: mean.read(batch)
            for (key, name), mean in self.losses.items()
            if mean.weight
        }
        commonest = None
        for key, answers in self.answers.items():
            if answers.count:
                found[f"accuracy{ends[key]}"] = float(answers.right) / answers.count
                if ends[key] == "" and answers.classes is not None:
                    commonest = float(answers.classes.max()) / answers.count
        return found, commonest
