"""`famulus check` on broken twins of a sound task: each control names the cause."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus.launch.bench.trial import Trial
from famulus.tasks.base import Floor, SelfTest
from famulus.training.randomness import Streams
from tests.launch.sound import Rows, Sound, found, ready, rows

LAYERS = (16, 24, 3)


def cause(task, control, **training):
    told = found(task, control, **training)
    return next(c.cause for c in told.values() if c.name == control)


# -- the net and its loss ------------------------------------------------


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


class Detached(Sound):
    def loss(self, model, batch, at):
        answer = model(batch["image"]).detach().requires_grad_()
        return {"total": F.cross_entropy(answer, batch["label"])}


class Unheard(Sound):
    """The loss never looks at the answer."""

    def loss(self, model, batch, at):
        answer = model(batch["image"])
        return {"total": F.cross_entropy(answer * 0 + model[1].bias.mean(), batch["label"])}


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


class Overblown(Sound):
    def build(self):
        model = super().build()
        with torch.no_grad():
            model[-1].weight.mul_(50)
        return model


def test_initial_loss_off_the_theory():
    told = found(Overblown(), "floor")
    assert told["initial loss"].cause == "wrong-initial-loss"
    figures = told["initial loss"].figures
    assert figures["theory"] == pytest.approx(math.log(3))


class MeanOfTheBatch(Sound):
    """All samples get one answer: the best constant is all that can be learned."""

    def build(self):
        class Mean(nn.Module):
            def forward(self, x):
                return x.mean(0, keepdim=True).expand_as(x)

        return nn.Sequential(super().build(), Mean())


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


class LogOfZero(Sound):
    def loss(self, model, batch, at):
        p = model(batch["image"]).softmax(1).gather(1, batch["label"][:, None])
        return {"total": -(p - p.detach().max()).clamp(min=0).log().mean()}


def test_one_batch_learned_by_heart():
    assert cause(MeanOfTheBatch(), "overfit one batch") == "cannot-overfit"
    assert cause(Unsettled(), "overfit one batch") == "train-eval-gap"
    assert cause(LogOfZero(), "overfit one batch") == "loss-not-finite"


def test_running_statistics_that_lag_in_a_short_fit_are_no_gap():
    """Thirty fast steps: the statistics of batch norm have not followed, and it is no fault."""

    def gap(kind):
        trial = Trial(ready(kind(), optimizer={"name": "adam", "lr": 0.1}), torch.device("cpu"))
        fit = trial.fit("true", 1.0, 8)
        return fit.judged - fit.last

    with Streams(0, torch.device("cpu")).isolated():
        settled, unsettled = gap(Sound), gap(Unsettled)
    assert settled < 0.05 < 0.5 < unsettled


def test_a_slow_rate_is_not_a_net_that_cannot():
    told = found(Sound(), "overfit one batch", optimizer={"name": "adam", "lr": 2e-5})
    control = told["overfit one batch"]
    assert (control.verdict, control.cause) == ("ok", "")
    assert control.figures["factor"] in (10.0, 100.0)


# -- what is trained ------------------------------------------------


class Halved(nn.Module):
    """Two branches; the second one's answer is thrown away by a detach."""

    def __init__(self):
        super().__init__()
        self.heard, self.lost = nn.Linear(16, 3), nn.Linear(16, 3)

    def forward(self, image):
        flat = image.flatten(1)
        return self.heard(flat) + self.lost(flat).detach()


class LostBranch(Sound):
    def build(self):
        return Halved()


class OpenlyFrozen(LostBranch):
    def build(self):
        model = super().build()
        model.lost.requires_grad_(False)
        return model


class NotHeld(Sound):
    def param_groups(self, model):
        return [{"params": list(model[-1].parameters())}]


class FrozenNorm(Sound):
    def build(self):
        model = super().build()
        model[:3].requires_grad_(False)
        return model


class FrozenInEval(FrozenNorm):
    def on_inputs(self, model, at):
        model[:3].eval()


class Growing(LostBranch):
    def facts(self):
        return {"changes": {"what": "growth", "until_inputs": 1000}}


MOVES = {
    LostBranch: "weights-do-not-move",
    OpenlyFrozen: "",
    NotHeld: "weights-do-not-move",
    FrozenNorm: "frozen-statistics-move",
    FrozenInEval: "",
    Growing: "",
}


@pytest.mark.parametrize(
    ("kind", "expected"), MOVES.items(), ids=lambda v: getattr(v, "__name__", v)
)
def test_which_weights_move(kind, expected):
    assert cause(kind(), "weights move") == expected


def test_a_rate_of_zero_moves_nothing():
    still = {"optimizer": {"name": "sgd", "lr": 0.0}}
    assert cause(Sound(), "weights move", **still) == "weights-do-not-move"


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


# -- rates ------------------------------------------------


def test_rates():
    def rate(**optimizer):
        inputs = optimizer.pop("inputs", 12_000)
        return cause(Sound(), "learning rate", optimizer=optimizer, inputs=inputs)

    assert rate(name="adam", lr=0.003) == ""
    assert rate(name="sgd", lr=0.1, momentum=0.9) == ""
    assert rate(name="sgd", lr=3000.0) == "rate-too-high"
    assert rate(name="sgd", lr=1e-6) == "rate-too-low"
    assert rate(name="adam", lr=1e-6) == "rate-cannot-reach"
    assert rate(name="adam", lr=1e-4, inputs=1_000_000) == ""  # slow, and long enough


# -- data ------------------------------------------------


def test_splits_that_differ():
    def split(validation):
        return cause(Sound(None, validation), "split")

    assert split(rows(90, 1)) == ""
    brighter = rows(90, 1)
    brighter.image *= 255
    assert split(brighter) == "split-differs"
    shifted = rows(90, 1)
    shifted.image += 0.8
    assert split(shifted) == "split-differs"
    assert found(Sound(None, shifted), "split")["split"].verdict == "failed"
    mixed = rows(90, 1)
    mixed.image[:70] += 0.8  # a few samples are as in training: a warning
    assert found(Sound(None, mixed), "split")["split"].verdict == "warning"


def test_labels():
    def labels(validation):
        return cause(Sound(None, validation), "labels")

    assert labels(rows(90, 1)) == ""
    assert labels(rows(90, 1, classes=("right", "left", "both"))) == "labels-differ"
    assert labels(rows(90, 1, labels=np.full(90, 3))) == "labels-differ"
    assert labels(rows(90, 1, labels=np.zeros(90, np.int64))) == "split-differs"
    renumbered = rows(90, 1)
    renumbered.labels[:] = np.array([1, 2, 0])[renumbered.labels]
    assert labels(renumbered) == "labels-differ"
    told = found(Sound(None, renumbered), "labels")["labels"]
    assert "right is left" in told.text
    assert told.figures["renumbered"] > 0.8 > 0.2 > told.figures["nearest_mean"]


def test_duplicates():
    train = rows(240, 0)
    assert cause(Sound(train), "duplicates") == ""
    half = rows(90, 1)
    half.image[:45] = train.image[100:145]
    told = found(Sound(train, half), "duplicates")["duplicates"]
    assert (told.verdict, told.cause) == ("failed", "duplicates-across-split")
    assert (told.figures["exact"], told.figures["near"]) == (45, 0)
    t, v = told.figures["example"]
    assert np.array_equal(train.image[t], half.image[v])
    nearly = rows(90, 1)
    nearly.image[:45] = 0.9 * train.image[100:145] + 1e-3
    told = found(Sound(train, nearly), "duplicates")["duplicates"]
    assert (told.cause, told.figures["near"]) == ("duplicates-across-split", 45)


def test_ranges():
    def ranges(change):
        train = rows(240, 0)
        change(train.image)
        return cause(Sound(train), "range")

    def grey_values(image):
        image[:] = 100 + 40 * image

    def broken(image):
        image[0, 0, 0, 0] = np.nan

    def flat(image):
        image[:] = 0.5

    assert ranges(lambda image: None) == ""
    for change in (grey_values, broken, flat):
        assert ranges(change) == "input-out-of-range"


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


class OtherTargets(Rows):
    """Another label for the same picture in every epoch."""

    def finish(self, batch, seeds):
        drawn = torch.from_numpy((seeds % np.uint64(3)).astype(np.int64))
        return {**batch, "label": drawn}


def as_(kind):
    sound = rows(240, 0)
    return kind(sound.image, sound.labels)


def test_randomness():
    assert cause(Sound(as_(OneGenerator)), "randomness") == "randomness-repeats"
    assert cause(Sound(as_(Shared)), "randomness") == "randomness-repeats"
    assert cause(Sound(as_(Unseeded)), "randomness") == "not-resumable"


# -- targets and validation ------------------------------------------------


class DrawnInTheLoss(Sound):
    def loss(self, model, batch, at):
        target = torch.randint(3, batch["label"].shape)
        return {"total": F.cross_entropy(model(batch["image"]), target)}


class Denoises(Sound):
    """Noise on the input, drawn in the loss: the target stays."""

    def loss(self, model, batch, at):
        noisy = batch["image"] + 0.1 * torch.randn_like(batch["image"])
        return {"total": F.cross_entropy(model(noisy), batch["label"])}


class Counts(Sound):
    """State of the task itself: what `resume` is there to find."""

    seen = 0

    def loss(self, model, batch, at):
        self.seen += 1
        return {"total": super().loss(model, batch, at)["total"] * (1 + self.seen % 7)}


def test_a_task_that_counts_its_calls_draws_no_targets():
    assert cause(Counts(), "targets") == ""


def test_targets_drawn_anew():
    assert cause(DrawnInTheLoss(), "targets") == "targets-redrawn"
    assert cause(Sound(as_(OtherTargets)), "targets") == "targets-redrawn"
    assert cause(Denoises(), "targets") == ""


class Dropped(Sound):
    def build(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.Dropout(0.5), nn.Linear(24, 3))


class InTrainMode(Dropped):
    def scores(self, model, batches):
        model.train()
        return super().scores(model, batches)


class DrawsScores(Sound):
    def scores(self, model, batches):
        return {"loss": super().scores(model, batches)["loss"] * float(1 + 9 * torch.rand(()))}


class Trains(Sound):
    def scores(self, model, batches):
        with torch.no_grad():
            model[-1].bias.add_(0.1)
        return super().scores(model, batches)


def test_validation():
    assert cause(Dropped(), "validation") == ""
    for kind in (InTrainMode, DrawsScores, Trains):
        assert cause(kind(), "validation") == "train-eval-gap"


# -- a task's own tests ------------------------------------------------


class KnowsItsParts(Sound):
    def self_tests(self, model, batch):
        yield SelfTest("order", True, "holds", "not-causal", "never shown")
        yield SelfTest("adjoint", False, "is off by 1", "operator-wrong", "transpose it")


def test_a_task_tests_its_parts():
    told = found(KnowsItsParts(), "self tests")
    assert (told["order"].verdict, told["order"].cause, told["order"].remedy) == ("ok", "", "")
    assert (told["adjoint"].verdict, told["adjoint"].cause) == ("failed", "operator-wrong")
    assert told["adjoint"].remedy == "transpose it"


class NoTheory(Sound):
    def floors(self, data):
        return {"chance": Floor("loss", 1.0, "chance")}


def test_without_a_theory_the_initial_loss_is_not_judged():
    assert found(NoTheory(), "floor")["initial loss"].verdict == "skipped"


class LabelledInVain(Sound):
    """A layer for labels where there are none: its gradient is 0, and that is no fault."""

    def build(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.main, self.label = nn.Linear(16, 3), nn.Linear(4, 3, bias=False)

            def forward(self, image):
                return self.main(image.flatten(1)) + self.label(image.new_zeros(len(image), 4))

        return Net()


class Multiplied(OpenlyFrozen):
    """All but a bias is multiplied by 0."""

    def loss(self, model, batch, at):
        answer = model(batch["image"]) * 0 + model.heard.bias
        return {"total": F.cross_entropy(answer, batch["label"])}


def test_a_gradient_of_exactly_zero():
    told = found(LabelledInVain(), "weights move")["weights move"]
    assert (told.verdict, "label.weight" in told.text) == ("ok", True)
    assert cause(Multiplied(), "weights move") == "weights-do-not-move"
