"""One frozen batch: what a failed fit is told apart by, in a table and on nets that cannot."""

import math

from torch import nn

from famulus.diagnosis.controls.bench import Fit
from famulus.diagnosis.controls.overfit import overfit
from tests.launch.sound import Sound, Unsettled, cause, found


def test_what_a_failed_fit_is_told_apart_by():
    def fitted(table):
        return overfit(lambda kind, factor: table[kind, factor], "recon")

    stuck = Fit(1.0, 0.9, 0.9, 300)
    same = {("true", f): stuck for f in (1.0, 10.0, 100.0)} | {("zeroed", 1.0): stuck}
    assert fitted(same).cause == "cannot-overfit"
    assert fitted(same | {("true", 10.0): Fit(1.0, 0.1, 0.1, 300)}).verdict == "ok"
    assert fitted(same | {("zeroed", 1.0): Fit(1.0, 1.1, 1.1, 300)}).verdict == "ok"
    nan = {("true", 1.0): Fit(1.0, math.nan, math.nan, 3), ("true", 0.1): stuck}
    assert fitted(nan).cause == "rate-too-high"
    never = nan | {("true", f): nan["true", 1.0] for f in (0.1, 0.01)}
    assert fitted(never).cause == "loss-not-finite"
    worse = same | {("true", 1.0): Fit(1.0, 7.0, 7.0, 300)}
    assert fitted(worse | {("true", 0.01): Fit(1.0, 0.1, 0.1, 300)}).cause == "rate-too-high"
    assert fitted(worse | {("true", 0.01): stuck}).cause == "cannot-overfit"
    few = overfit(lambda kind, factor: stuck, "recon", weights=9, numbers=1000)
    assert few.verdict == "ok"


class MeanOfTheBatch(Sound):
    """All samples get one answer: the best constant is all that can be learned."""

    def build(self):
        class Mean(nn.Module):
            def forward(self, x):
                return x.mean(0, keepdim=True).expand_as(x)

        return nn.Sequential(super().build(), Mean())


class LogOfZero(Sound):
    def loss(self, model, batch, at):
        p = model(batch["image"]).softmax(1).gather(1, batch["label"][:, None])
        return {"total": -(p - p.detach().max()).clamp(min=0).log().mean()}


def test_one_batch_learned_by_heart():
    assert cause(MeanOfTheBatch(), "overfit one batch") == "cannot-overfit"
    assert cause(Unsettled(), "overfit one batch") == "train-eval-gap"
    assert cause(LogOfZero(), "overfit one batch") == "loss-not-finite"


def test_a_slow_rate_is_not_a_net_that_cannot():
    told = found(Sound(), "overfit one batch", optimizer={"name": "adam", "lr": 2e-5})
    control = told["overfit one batch"]
    assert (control.verdict, control.cause) == ("ok", "")
    assert control.figures["factor"] in (10.0, 100.0)
