"""Task pretext: floors hit by constants, controls, frozen targets, scores, pictures, apply."""

import math
import re

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import nn

from famulus.config.errors import ConfigError, DataError
from famulus.feed.feeder import Feeder, validation_batches
from famulus.tasks.base import Position
from famulus.tasks.pretext.heads import COMPARING
from famulus.tasks.pretext.pretext import Pretext, PretextConfig

AT = Position(step=0, inputs=0, epoch=0, seed=0)
ENCODER = {"kind": "conv", "channels": [8, 16]}
VIEWS = {"least_area": 0.5, "flip_h": 0.5}


def make(pretext="unmix", head=None, loss=None, **data):
    data = {"name": "digits", "subset": 200, "validation": 96, "pretext": pretext, **data}
    if pretext == "contrastive":
        data = {"views": VIEWS, "candidates": 32, **data}
    model = {"encoder": ENCODER} | ({"head": head} if head else {})
    task = Pretext(PretextConfig(data=data, model=model, loss=loss or {}), {})
    torch.manual_seed(0)
    return task, task.build()


def held_out(task, batch=64):
    return validation_batches(task.data().validation, batch, "cpu")


def scores(task, net):
    with torch.no_grad():
        return task.scores(net.eval(), held_out(task))


def train(task, net, steps, lr=3e-3, batch=32):
    optimizer = torch.optim.Adam(net.parameters(), lr)
    feeder = Feeder(task.data().train, batch, 0, "cpu")
    losses = []
    for _ in range(steps):
        loss = task.loss(net.train(), next(feeder), AT)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


class Constant(nn.Module):
    """Answers the same for every input; features vary, so that health can be judged."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, image, sources=None):
        return self.logits.expand(len(image), -1)

    def features(self, image):
        return image.flatten(1)


EACH = ["unmix", "scale", "quadrant", "patchwork", "rotation", "contrastive"]


@pytest.mark.parametrize("pretext", EACH)
def test_every_pretext_trains_scores_and_shows(pretext):
    task, net = make(pretext)
    losses = train(task, net, 2, batch=16)
    assert all(math.isfinite(loss) for loss in losses)
    found = scores(task, net)
    assert {"loss", "accuracy", "train_mode_gap", "feature_rank", "feature_std", "knn"} <= set(
        found
    )
    assert all(math.isfinite(v) for v in found.values())
    assert {"chance"} <= set(task.floors(task.data()))
    batch = next(iter(held_out(task, 12)))
    with torch.no_grad():
        pictures = task.pictures(net.eval(), batch)
    for picture in pictures.values():
        assert len({row.shape for row in picture.rows.values()}) == 1
    # all 96 are looked through
    assert ("mistakes" in pictures) == (pretext != "contrastive" and found["accuracy"] < 1)


@pytest.mark.parametrize(
    ("head", "loss"),
    [(head, "bce") for head in COMPARING if head != "distance"]
    + [("distance", "margin"), ("pair", "soft_label"), ("pair", "l1"), ("pair", "pairwise")],
)
def test_every_head_and_loss_reaches_the_weights(head, loss):
    task, net = make("unmix", {"kind": head}, {"kind": loss})
    task.loss(net.train(), next(iter(held_out(task, 16))), AT)["total"].backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # What softmax ignores (one bias for all slots) has no slope; all else must.
    assert not [name for name in silent if not (loss == "soft_label" and "mlp.3.bias" in name)]


def test_a_constant_scores_its_floor():
    """Two of three are in: p = 2/3 for all gives .6365, the journal's constant."""
    task, _ = make("unmix")
    drawn = torch.cat([b["target"] for b in held_out(task)]).mean(0)
    floor = task.floors(task.data())["best constant"].value
    found = scores(task, Constant(torch.logit(drawn).tolist()))
    assert found["loss"] == pytest.approx(floor, abs=1e-5)
    assert floor == pytest.approx(0.6365, abs=0.01)
    assert found["accuracy"] <= 0.5
    assert found["spread"] == pytest.approx(0, abs=1e-6)
    worse = scores(task, Constant([0.0, 0.0, 0.0]))
    assert worse["loss"] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize(("loss", "answer"), [("soft_label", "mean"), ("l1", "median")])
def test_constant_weights_score_their_floor(loss, answer):
    more = {"activation": "none"} if loss == "l1" else {}
    task, _ = make("unmix", None, {"kind": loss, **more}, target="weights")
    drawn = torch.cat([b["weights"] for b in held_out(task)])
    best = drawn.mean(0).log() if answer == "mean" else drawn.median(0).values
    found = scores(task, Constant(best.tolist()))
    assert found["loss"] == pytest.approx(task.floors(task.data())["best constant"].value, abs=1e-5)


def test_classes_and_candidates_have_their_floors():
    task, _ = make("rotation")
    floors = task.floors(task.data())
    drawn = torch.cat([b["target"] for b in held_out(task)])
    share = torch.bincount(drawn, minlength=4) / len(drawn)
    found = scores(task, Constant(share.log().tolist()))
    assert found["loss"] == pytest.approx(floors["best constant"].value, abs=1e-5)
    assert 0 <= floors["pixels"].value <= 1
    task, _ = make("contrastive")
    assert task.floors(task.data())["uniform"].value == pytest.approx(math.log(32))
    found = scores(task, Constant([1.0, 1.0]))  # all embeddings alike
    assert found["loss"] == pytest.approx(math.log(32), abs=1e-5)


def per_slot(z, t):
    """Nats of two answers, in or not, each slot for itself."""
    p = 1 / (1 + torch.exp(-z))
    return -(t * p.log() + (1 - t) * (1 - p).log())


LOSSES = {  # of logits z and targets t, BN in float64: temperature .7, margin 1.4
    "bce": lambda z, t: per_slot(z, t).mean(),
    "soft_label": lambda z, t: (
        -(t / t.sum(1, keepdim=True) * (z / 0.7).log_softmax(1)).sum(1).mean()
    ),
    "margin": lambda z, t: (t * z**2 + (1 - t) * (1.4 + z).clamp(min=0) ** 2).mean(),
    "l1": lambda z, t: (1 / (1 + torch.exp(-z)) - t).abs().mean(),
    "l2": lambda z, t: (1 / (1 + torch.exp(-z)) - t).square().mean(),
    "pairwise": lambda z, t: (1 / (1 + torch.exp(-z)) - t).square().sum(1).sqrt().mean(),
}


@pytest.mark.parametrize("target", ["set", "weights"])
@pytest.mark.parametrize("kind", LOSSES)
def test_each_loss_is_that_of_the_answer_asked_for(kind, target):
    options = {"soft_label": {"temperature": 0.7}, "margin": {"margin": 1.4}}.get(kind)
    options = options or ({} if kind == "bce" else {"activation": "sigmoid"})
    head = {"kind": "distance"} if kind == "margin" else None
    task, _ = make("unmix", head, {"kind": kind, **options}, target=target)
    batch, logits = (
        next(iter(held_out(task, 16))),
        [-0.9, -0.2, -1.7],
    )  # minus a distance, of margin
    answer = batch["weights"] if target == "weights" else (batch["weights"] > 0)
    z = torch.tensor(logits).double().expand(16, 3)
    want = LOSSES[kind](z, answer.double()).item()
    assert task.loss(Constant(logits), batch, AT)["total"].item() == pytest.approx(want, rel=1e-5)
    other = (batch["weights"] > 0) if target == "weights" else batch["weights"]
    if kind != "soft_label" or target == "weights":
        assert abs(LOSSES[kind](z, other.double()).item() - want) > 1e-3


class Flattened(nn.Module):
    """An embedding of which everything is known: the picture itself."""

    def forward(self, image, sources=None):
        return image.flatten(1)


def pictures_of(batch):
    """float64 BD of the pictures and of their other views, B of their own weights."""
    own, views = (t.flatten(1).double() for t in (batch["image"], batch["sources"][:, 0]))
    return own, views, batch["weights"][:, 0].double()


def mixture_nats(own, views, weight, temperature):
    """Nats of w x_i + (1 - w) x_(i-1) against all views, one by one: w of them ask for view i."""
    total = 0.0
    for i in range(len(own)):
        mixture = weight[i] * own[i] + (1 - weight[i]) * own[i - 1]
        cosine = views @ mixture / views.norm(dim=1) / mixture.norm()
        log_p = (cosine / temperature).log_softmax(0)
        total -= float(weight[i] * log_p[i] + (1 - weight[i]) * log_p[i - 1])
    return total / len(own)


def test_a_mixture_belongs_to_its_own_by_its_weight_and_to_its_partner_by_the_rest():
    task, _ = make("contrastive", mixed=2, alpha=0.5)
    batch, temperature = next(iter(held_out(task, 32))), task.config.loss.temperature
    own, views, weight = pictures_of(batch)
    loss = task.loss(Flattened(), batch, AT)["total"].item()
    assert loss == pytest.approx(mixture_nats(own, views, weight, temperature), rel=1e-5)
    assert weight.min() >= 0.5  # what is asked for, `accuracy`, is the heavier of both
    assert weight.min() < 0.8
    for wrong in (1 - weight, torch.ones_like(weight)):  # swapped, and not mixed at all
        assert abs(loss - mixture_nats(own, views, wrong, temperature)) > 0.01
    asks = mixture_nats(
        own, views.roll(-1, 0), 1 - weight, temperature
    )  # pictures right, answers not
    assert abs(loss - asks) > 0.01


def test_pictures_that_are_not_mixed_are_asked_for_in_both_directions():
    task, _ = make("contrastive")
    batch, temperature = next(iter(held_out(task, 32))), task.config.loss.temperature
    own, views, weight = pictures_of(batch)
    there, back = (mixture_nats(a, b, weight, temperature) for a, b in ((own, views), (views, own)))
    loss = task.loss(Flattened(), batch, AT)["total"].item()
    assert (weight == 1).all()
    assert loss == pytest.approx((there + back) / 2, rel=1e-6)
    assert abs(there - back) > 1e-3 * loss


def test_frozen_targets_are_learned_by_heart_and_drawn_ones_are_not():
    """The journal's overfit test drew new targets at every access."""
    last = {}
    for frozen in (True, False):
        task, net = make("unmix", frozen=frozen, subset=8)
        last[frozen] = np.mean(train(task, net, 120, lr=5e-3, batch=8)[-10:])
    assert last[True] < 0.05
    assert last[False] > 0.2


@pytest.mark.parametrize("control", ["noise", "zero", "shuffled"])
def test_controls_do_not_beat_the_floor(control):
    task, net = make("unmix", control=control, copy="source" if control != "shuffled" else "none")
    train(task, net, 40)
    found, floors = scores(task, net), task.floors(task.data())
    assert found["loss"] > floors["best constant"].value - 0.02
    assert found["accuracy"] < floors["chance"].value + 0.17


def test_an_exact_copy_is_found():
    """The twin of the controls: the same net and steps with pictures."""
    task, net = make("unmix", copy="source")
    train(task, net, 120)
    assert scores(task, net)["accuracy"] > 0.8


def test_a_shortcut_is_measured():
    """A net that looks at the sum of all pixels of the patch's frame loses all without it."""

    class Sees(Constant):
        def forward(self, image, sources=None):
            bright = (image == 1.0).flatten(1).any(1).float() * 9
            return torch.stack([-bright, bright - 1], 1)

    task, _ = make("patchwork", size=16, patch=0.5)
    source = task.data().validation

    def mark(batch):
        batch["image"] = batch["image"] * 0.9
        for i in range(len(batch["image"])):
            top, left = batch["box"][i, :2].tolist()
            if batch["target"][i]:
                batch["image"][i, :, top, left] = 1.0
        return batch

    finish = source.finish
    source.finish = lambda batch, seeds: mark(finish(batch, seeds))
    found = task.scores(Sees([0.0, 0.0]), held_out(task))
    assert found["accuracy"] == 1.0
    assert found["without_seam"] < 0.7
    assert found["seam_share"] > 0.7


class Knows(Constant):
    """Answers rightly, but for the first `wrong` questions of a batch, whose slots it turns round;
    of more than `known` questions it names the first slot."""

    def __init__(self, wrong=0, known=1000):
        super().__init__([9.0, -9.0, -9.0])
        self.wrong, self.known = wrong, known

    def forward(self, image, sources=None):
        same = (sources - image[:, None]).flatten(2).abs().sum(2)
        answer = 9.0 - 18.0 * (same > 1e-4)
        answer[: self.wrong] *= -1
        answer[self.known :] = self.logits
        return answer


def test_an_accuracy_within_two_standard_errors_of_chance_has_no_shares():
    task, _ = make("unmix", copy="source")
    task._accuracy_without = lambda *_: 0.0
    error = math.sqrt(1 / 3 * 2 / 3 / 96)
    gains = []
    for known in range(20):
        found = scores(task, Knows(known=known))
        gains.append((found["accuracy"] - 1 / 3) / error)
        assert found["detail_share"] == (gains[-1] > 2)
    assert any(0.5 < gain < 2 for gain in gains)
    assert max(gains) > 2


@pytest.mark.parametrize("wrong", [0, 2])
def test_only_wrong_answers_are_mistakes(wrong):
    task, _ = make("unmix", copy="source")
    batch = next(iter(held_out(task, 12)))
    with torch.no_grad():
        pictures = task.pictures(Knows(wrong), batch)
    assert ("mistakes" in pictures) == bool(wrong)
    if wrong:
        caption = pictures["mistakes"].caption
        assert caption.startswith("2 of the first 96 questions answered wrongly")
        assert len(re.findall(r"\(1\.00\)|\(0\.67\)", caption)) == 2  # all slots, or two, wrong
    else:
        assert "are answered rightly" in pictures["questions"].caption


@pytest.mark.parametrize(("copied", "count"), [("none", 2), ("source", 1), ("mixture", 3)])
def test_the_answer_names_as_many_slots_as_are_in_it(copied, count):
    slots = 4
    task, _ = make("unmix", sources=slots, copy=copied)
    batch = next(iter(held_out(task, 12)))
    assert (batch["target"].sum(1) == count).all()
    assert f"{count} of {slots} sources" in task.facts().shown["answer"]


def test_health_tells_collapse():
    class Collapsed(Constant):
        def features(self, image):
            return torch.ones(len(image), 6) + 1e-9 * image.flatten(1)[:, :6]

    task, _ = make("unmix")
    sick, well = scores(task, Collapsed([0.0] * 3)), scores(task, Constant([0.0] * 3))
    assert sick["feature_std"] < 1e-3 < 0.1 < well["feature_std"]
    assert sick["feature_rank"] < 2 < well["feature_rank"]
    assert well["knn"] > 0.8  # raw pixels know digits


@pytest.mark.parametrize(
    ("data", "model", "loss", "message"),
    [
        ({"pretext": "rotation"}, {"head": {"kind": "pair"}}, {}, "rotation expects linear or"),
        ({"pretext": "unmix"}, {"head": {"kind": "linear"}}, {}, "unmix expects dot or"),
        ({"pretext": "unmix"}, {}, {"kind": "cross_entropy"}, "expects bce or"),
        ({"pretext": "unmix"}, {}, {"kind": "margin"}, "margin and model.head.kind distance"),
    ],
)
def test_what_does_not_fit_is_refused(data, model, loss, message):
    with pytest.raises(ValidationError, match=message):
        PretextConfig(data=data, model=model, loss=loss)


def test_rotation_of_oblong_pictures_is_refused(tmp_path):
    for role in ("train", "val"):
        (tmp_path / role / "a").mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (8, 6), (i * 40, 0, 0)).save(tmp_path / role / "a" / f"{i}.png")
    config = PretextConfig(data={"name": str(tmp_path), "pretext": "rotation"})
    with pytest.raises(ConfigError, match="square"):
        Pretext(config, {}).build()


def test_apply_writes_features(tmp_path):
    task, net = make("rotation")
    for i in range(3):
        Image.new("L", (10, 12), i * 60).save(tmp_path / f"{i}.png")
    task.apply(net, tmp_path, tmp_path / "out", {})
    with np.load(tmp_path / "out" / "features.npz", allow_pickle=False) as found:
        assert found["names"].tolist() == ["0.png", "1.png", "2.png"]
        assert found["features"].shape == (3, 16)
    (tmp_path / "bad.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"bad\.png"):
        task.apply(net, tmp_path, tmp_path / "out", {})
