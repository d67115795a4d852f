"""The answer set free: activations applied twice, losses without a bottom, shapes broadcast."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.launch.sound import Sound, cause


class SigmoidTwice(Sound):
    def build(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.Sigmoid())

    def loss(self, model, batch, at):
        target = F.one_hot(batch["label"], 3).float()
        logits = model(batch["image"])
        return {"total": F.binary_cross_entropy_with_logits(logits, target)}


class SoftmaxTwice(Sound):
    def build(self):
        return nn.Sequential(super().build(), nn.Softmax(1))


class SigmoidOnce(SigmoidTwice):
    def loss(self, model, batch, at):
        target = F.one_hot(batch["label"], 3).float()
        return {"total": F.binary_cross_entropy(model(batch["image"]), target)}


class ClassNumbersInBce(Sound):
    def build(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 1))

    def loss(self, model, batch, at):
        target = batch["label"].float()[:, None]
        return {"total": F.binary_cross_entropy_with_logits(model(batch["image"]), target)}


class Gaussian(ClassNumbersInBce):
    """Negative values, and yet a bottom: nothing to say."""

    def loss(self, model, batch, at):
        error = (model(batch["image"]) - batch["label"].float()[:, None]).square().mean()
        return {"total": 0.5 * torch.log(error.clamp(min=1e-6))}


class Broadcast(ClassNumbersInBce):
    def loss(self, model, batch, at):
        return {"total": (model(batch["image"]) - batch["label"].float()).square().mean()}


class OneColumn(ClassNumbersInBce):
    def loss(self, model, batch, at):
        return {"total": (model(batch["image"])[:, 0] - batch["label"]).square().mean()}


FREE = {
    SigmoidTwice: "activation-twice",
    SoftmaxTwice: "activation-twice",
    SigmoidOnce: "",
    ClassNumbersInBce: "loss-unbounded",
    Gaussian: "",
    Broadcast: "shapes-broadcast",
    OneColumn: "",
}


@pytest.mark.parametrize(
    ("kind", "expected"), FREE.items(), ids=lambda v: getattr(v, "__name__", v)
)
def test_the_answer_set_free(kind, expected):
    assert cause(kind(), "free output") == expected
