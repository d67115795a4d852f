"""An input that is not used, and one that helps too little to tell."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus.diagnosis.controls.bench import Fit
from famulus.diagnosis.controls.input_use import Learned, input_use
from tests.launch.sound import Sound, cause, found


@pytest.mark.parametrize(
    ("before", "true", "zeroed", "shuffled", "noise", "verdict"),
    [
        (1.1, 0.817, 0.8269, 0.8445, 0.8406, "skipped"),  # a slow net on a plateau reads its input
        (1.9, 1.299, 1.426, 1.475, 1.227, "skipped"),  # noise regularises; true input helps
        (0.3, 0.196, 0.1966, 0.1961, 0.1964, "failed"),  # a collapsed posterior
        (0.5, 0.1946, 0.119, 0.194, 0.1496, "failed"),  # shapes broadcast
    ],
)
def test_input_that_helps_against_zeroed_and_shuffled_is_not_called_unused(
    before, true, zeroed, shuffled, noise, verdict
):
    """Held-out losses as recorded of sound and faulty nets; one frozen batch tells nothing."""
    after = {"true": true, "zeroed": zeroed, "shuffled": shuffled, "noise": noise}
    found = input_use(
        lambda kind, factor: Learned(before, after[kind], blind=before, steps=60),
        lambda kind, factor: Fit(1.0, 0.5, 0.5, 60),
        "recon",
    )
    assert found.verdict == verdict
    assert found.cause == ("input-unused" if verdict == "failed" else "")


class Deaf(Sound):
    """Nothing of the input gets through, as with a variable that is overwritten."""

    def loss(self, model, batch, at):
        image = torch.ones_like(batch["image"]) + 0 * batch["image"]
        return {"total": F.cross_entropy(model(image), batch["label"])}

    def build(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 3))


class DeafNet(Deaf):
    loss = Sound.loss

    def build(self):
        class Ones(nn.Module):
            def forward(self, x):
                return torch.ones_like(x)

        return nn.Sequential(Ones(), super().build())


class Faint(DeafNet):
    """A trace of the input: not equal in the last digit, and yet of no use."""

    def build(self):
        class Trace(nn.Module):
            def forward(self, x):
                return 1 + 1e-5 * x

        return nn.Sequential(Trace(), *list(super().build())[1:])


@pytest.mark.parametrize("kind", [Deaf, DeafNet])
def test_an_input_that_is_not_used(kind):
    assert cause(kind(), "input") == "input-unused"


def test_where_nothing_is_learned_the_input_is_not_judged():
    told = found(Faint(), "input", "overfit one batch")
    assert (told["input"].verdict, told["input"].cause) == ("skipped", "")
    assert told["overfit one batch"].cause == "cannot-overfit"


class Prevalent(Faint):
    """Here the best constant is learned, and nothing else."""

    def data(self):
        for part, seed in ((self.splits.train, 0), (self.splits.validation, 1)):
            rng = np.random.default_rng(seed)
            part.labels[:] = (rng.random(len(part)) < 0.1).astype(np.int64)
        return self.splits


def test_the_best_constant_needs_no_input():
    assert cause(Prevalent(), "input") == "input-unused"
