"""Random numbers that do not follow from each sample's seed."""

from dataclasses import dataclass

import numpy as np
import torch

from famulus.diagnosis.controls import randomness
from tests.launch.sound import Rows, Sound, cause, drawing


@dataclass
class OneGenerator(Rows):
    """A generator made once, as in an __init__: each copy of the source draws the same numbers."""

    def __post_init__(self):
        self.generator = np.random.default_rng(3)

    def finish(self, batch, seeds):
        noise = self.generator.normal(size=batch["image"].shape).astype(np.float32)
        return {**batch, "image": batch["image"] + torch.from_numpy(noise)}


class Unseeded(Rows):
    def finish(self, batch, seeds):
        noise = np.random.default_rng().normal(size=batch["image"].shape).astype(np.float32)
        return {**batch, "image": batch["image"] + torch.from_numpy(noise)}


class Shared(Rows):
    """One number for the whole batch."""

    def finish(self, batch, seeds):
        return {**batch, "image": batch["image"] + float(seeds[0] % np.uint64(1000)) / 1000}


def test_randomness():
    assert cause(Sound(drawing(OneGenerator)), "randomness") == "randomness-repeats"
    assert cause(Sound(drawing(Shared)), "randomness") == "randomness-repeats"
    assert cause(Sound(drawing(Unseeded)), "randomness") == "not-resumable"


def test_nan_equals_nan_and_no_number():
    inf, nan = float("inf"), float("nan")
    largest = torch.finfo(torch.float32).max
    values = [torch.tensor([x]) for x in (0.0, 1.0, nan, inf, -inf, largest)]
    same = [[randomness._same(a, b) for b in values] for a in values]
    assert same == [[i == j for j in range(len(values))] for i in range(len(values))]
    assert not randomness._same(torch.zeros(2), torch.zeros(1))
