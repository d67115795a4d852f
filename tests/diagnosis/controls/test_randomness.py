"""Random numbers that do not follow from each sample's seed."""

from dataclasses import dataclass

import numpy as np
import torch

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
