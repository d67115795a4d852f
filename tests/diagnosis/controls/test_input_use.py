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


def by_rate(slow, own=(1.0, 0.7, 0.7, 0.7, 0.7)):
    """`own`: loss before, and after true, zeroed, shuffled and noise input; `slow`: after true and
    zeroed input at a tenth of the rate, and at a hundredth."""
    before, *after = own
    ends = dict(zip(("true", "zeroed", "shuffled", "noise"), after, strict=True))

    def learn(kind, factor):
        if factor == 1:
            return Learned(before, ends[kind], blind=own[2], steps=60)
        place = (0 if factor == 0.1 else 2) + (kind != "true")  # shuffled is as bad as zeroed
        return Learned(before, slow[place], blind=before, steps=60)

    return input_use(learn, lambda kind, factor: Fit(1.0, 0.5, 0.5, 60), "total")


def test_the_rate_is_named_before_the_input_where_a_lower_one_learns_from_it():
    learns, deaf = (0.2, 0.7), (0.7, 0.7)
    for slow in ((*learns, *learns), (*deaf, *learns)):
        told = by_rate(slow)
        assert (told.verdict, told.cause) == ("failed", "rate-too-high")
    assert by_rate((*deaf, *deaf)).cause == "input-unused"
    assert by_rate((0.68, 0.7, 1.2, 1.3)).cause == "input-unused"  # no more than before
    assert by_rate((float("nan"),) * 4).cause == "input-unused"
    worse = by_rate((*learns, *learns), own=(1.0, 1.2, 1.4, 1.3, 1.5))
    assert (worse.verdict, worse.cause) == ("skipped", "")
    assert "learning rate" in worse.text
    sound = by_rate((*learns, *learns), own=(1.0, 0.4, 0.7, 0.7, 0.7))
    assert (sound.verdict, sound.cause) == ("ok", "")


@pytest.mark.parametrize(
    ("faster", "cause"), [(100.0, ""), (5.0, "input-unused"), (None, "input-unused")]
)
def test_a_rate_that_is_far_too_low_has_not_shown_that_the_input_is_unused(faster, cause):
    """Only at what the range test suggests is more learned than the best constant."""

    def fit(kind, factor):
        return Fit(1.0, 0.1 if (kind, factor) == ("true", 100.0) else 0.5, 0.5, 300)

    def learn(kind, factor):
        return Learned(1.0, {"true": 0.951, "noise": 0.952}.get(kind, 0.953), 0.954, 60)

    assert input_use(learn, fit, "recon", faster=faster).cause == cause


class Squashed(Sound):
    """Sigmoids that a rate of 0.3 leaves flat."""

    def build(self):
        layers = nn.Linear(16, 24), nn.Sigmoid(), nn.Linear(24, 24), nn.Sigmoid()
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear(24, 3))


class SquashedTwice(Squashed):
    """With a tanh behind them, of which the loss is a distance."""

    def build(self):
        return nn.Sequential(*list(super().build())[:-1], nn.Linear(24, 1), nn.Tanh())

    def loss(self, model, batch, at):
        return {"total": F.mse_loss(model(batch["image"]), batch["label"].float()[:, None] - 1)}


@pytest.mark.parametrize("task", [Squashed, SquashedTwice])
def test_a_rate_a_hundred_times_too_high_is_named_and_the_input_is_not(task):
    def told(lr):
        each = found(task(), "learning rate", "input", optimizer={"name": "adam", "lr": lr})
        return {c.cause for c in each.values() if c.cause}

    assert told(0.3) == {"rate-too-high"}
    assert "rate-too-high" not in told(0.003)


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
