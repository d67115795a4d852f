"""Weights of ink edges and the mask, from the fragment to the loss: written out corner by corner.

Shapes: B cubes, D H W a cube (z, y, x), Y X the fragment.
"""

import numpy as np
import pytest
import torch
from torch import nn

from famulus.feed.streams import sample_seeds
from famulus.nets.autoencoder import Reconstruction
from famulus.tasks.base import Position
from famulus.tasks.scroll import cube_field, cubes
from famulus.tasks.scroll.ink_loss import auc_spread, judged
from famulus.tasks.scroll.scroll import ScrollConfig, ScrollTask
from famulus.volumes.bricks import ArrayVolume
from famulus.volumes.open import Fragment
from tests.tasks.scroll.pairs import auc_between, auc_of

AT = Position(0, 0, 0, 0)
SHAPE, SIZE, EDGES = (6, 40, 52), (6, 8, 8), 0.6
INDEX = np.arange(48)
SEEDS = sample_seeds(3, 0, INDEX)


class PlaneOfLogits(nn.Module):
    """Two known outputs of every voxel: its own value, and its value as a logit of ink."""

    def __init__(self):
        super().__init__()
        self.register_buffer("threshold", torch.tensor(0.5))

    def forward(self, image, noise=None):
        zeros = torch.zeros(len(image), 1)
        return Reconstruction(torch.cat([image + 0.5, image], 1), zeros, zeros + 2, zeros)


def fragment():
    random = np.random.default_rng(0)
    labels = np.zeros(SHAPE[1:], np.uint8)
    labels[10:22, 28:40] = 1
    mask = np.ones(SHAPE[1:], bool)
    mask[:9], mask[24:30, 10:32], mask[:, 44:] = False, False, False
    return Fragment(
        "test", ArrayVolume(random.normal(0, 60, SHAPE).astype(np.float32), "f"), mask, labels
    )


def source(papyrus, edges=EDGES, augment=False, field=None):
    field = field or cube_field.make_field(papyrus, papyrus.mask, SIZE, edges, cover=0.6)
    return cubes.CubeSource(papyrus, field, cubes.Scale(5.0, 30.0), 64, augment=augment)


def batch_of(papyrus, **more):
    cubes_of = source(papyrus, **more)
    return cubes_of.finish(cubes_of.gather(INDEX, SEEDS), SEEDS)


def fair(papyrus):
    """float64 YX: u / Q, how often a pixel is met by uniform cubes over how often by these."""
    field = source(papyrus).field
    share = np.diff(field.cumulative, prepend=0)
    uniform, by_edges = np.zeros(SHAPE[1:]), np.zeros(SHAPE[1:])
    for p, place in zip(share / share.sum(), field.places, strict=True):
        y, x = divmod(int(place), SHAPE[2])
        uniform[y : y + SIZE[1], x : x + SIZE[2]] += 1 / len(share)
        by_edges[y : y + SIZE[1], x : x + SIZE[2]] += p
    ratio = np.divide(uniform, by_edges, out=np.zeros(SHAPE[1:]), where=by_edges > 1e-12)
    return np.where(papyrus.mask, np.minimum(ratio, 1 / (1 - EDGES)), 0.0)


def definition(papyrus, weight_YX, term, edges=EDGES):
    """The loss from the fragment alone, float64: `term` of p, labels and weights, all cubes."""
    p, t, w = [], [], []
    for z, y, x in source(papyrus, edges).places(INDEX, SEEDS):
        window = (slice(y, y + SIZE[1]), slice(x, x + SIZE[2]))
        logit = ((papyrus.volume.array[z : z + SIZE[0]].astype(np.float64) - 5) / 30).mean(0)[
            window
        ]
        p.append(1 / (1 + np.exp(-logit)))
        t.append(papyrus.labels[window].astype(np.float64))
        w.append(weight_YX[window])
    return term(*(np.stack(rows) for rows in (p, t, w)))


def nats(p, t):
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


def overlap(p, t, w, alpha, beta):
    hits = (w * p * t).sum()
    return 1 - hits / (hits + alpha * (w * p * (1 - t)).sum() + beta * (w * (1 - p) * t).sum())


TERMS = {
    "bce": lambda p, t, w: (w * nats(p, t)).sum() / w.sum(),
    "focal": lambda p, t, w: (w * abs(t - p) ** 2 * nats(p, t)).sum() / w.sum(),
    "dice": lambda p, t, w: overlap(p, t, w, 0.5, 0.5),
    "tversky": lambda p, t, w: overlap(p, t, w, 0.3, 0.8),
}


def task(kind="cube", **terms):
    names = {"bce": 0.0, "alpha": 0.3, "beta": 0.8}
    given = {"model": {"kind": kind, "coarse": 4}, "loss": names | terms}
    return ScrollTask(ScrollConfig.model_validate(given), {})


def loss(batch, **terms):
    return task(**terms).loss(PlaneOfLogits(), batch, AT)["total"].item()


@pytest.mark.parametrize("term", TERMS)
def test_a_pixel_weighs_in_the_loss_what_its_chance_says(term):
    papyrus = fragment()
    want = definition(papyrus, fair(papyrus), TERMS[term])
    assert loss(batch_of(papyrus), **{term: 2.5}) == pytest.approx(2.5 * want, rel=1e-4)
    inside = papyrus.mask.astype(float)
    for wrong in (inside, np.ones(SHAPE[1:])):  # edges as they come; no mask
        assert abs(definition(papyrus, wrong, TERMS[term]) / want - 1) > 5e-3
    even = definition(papyrus, inside, TERMS[term], edges=0.0)  # cubes from everywhere alike
    assert loss(batch_of(papyrus, edges=0.0), **{term: 1.0}) == pytest.approx(even, rel=1e-4)


@pytest.mark.parametrize("term", TERMS)
def test_what_lies_outside_the_mask_counts_nothing(term):
    """Not a label there, nor a voxel; one label inside does, by its weight."""
    papyrus, other = fragment(), fragment()
    other.labels[~papyrus.mask] = 1
    other.volume.array[:, ~papyrus.mask] += 90
    same = loss(batch_of(other, field=source(papyrus).field), **{term: 1.0})
    assert same == loss(batch_of(papyrus), **{term: 1.0})
    batch, weight = batch_of(papyrus), fair(papyrus)
    at, y, x = next(zip(*np.nonzero(batch["weight"].numpy() * batch["label"].numpy()), strict=True))
    batch["label"][at, y, x] = 0
    logit = float(batch["image"][at, 0, :, y, x].double().mean())
    if term == "bce":  # the cross-entropy of 0 less that of 1 is the logit
        total = batch_of(papyrus)["weight"].double().sum().item()
        corner = source(papyrus).places(INDEX, SEEDS)[at]
        change = weight[corner[1] + y, corner[2] + x] * logit / total
        assert loss(batch, bce=1.0) - loss(batch_of(papyrus), bce=1.0) == pytest.approx(
            change, rel=0.02
        )
    assert loss(batch, **{term: 1.0}) != loss(batch_of(papyrus), **{term: 1.0})


def test_weights_turn_with_their_pixels():
    """The net answers voxel by voxel, so that turning all of a cube changes no loss."""
    papyrus = fragment()
    plain, rotated = batch_of(papyrus), batch_of(papyrus, augment=True)
    assert not rotated["weight"].equal(plain["weight"])
    assert loss(rotated, bce=1.0) == pytest.approx(loss(plain, bce=1.0), rel=1e-5)
    stale = rotated | {"weight": plain["weight"]}  # as if they stayed behind
    assert abs(loss(stale, bce=1.0) / loss(plain, bce=1.0) - 1) > 1e-3


def test_terms_and_parts_add_up_by_their_weights():
    batch = batch_of(fragment())
    alone = {name: loss(batch, **{name: 1.0}) for name in TERMS}
    share = dict(zip(TERMS, (0.7, 0.2, 1.3, 0.4), strict=True))
    ink = sum(share[name] * alone[name] for name in TERMS)
    assert loss(batch, **share) == pytest.approx(ink, rel=1e-5)
    # joint: .25 of error everywhere, KL of N(2, 1) over the voxels of a cube
    joint = {**share, "kind": "joint", "ink_weight": 0.3, "kl_weight": 50.0}
    whole = 0.25 + 50 * 2 / np.prod(SIZE) + 0.3 * ink
    assert loss(batch, **joint) == pytest.approx(whole, rel=1e-5)
    batch["index"] = torch.from_numpy(INDEX)
    assert task(**joint).scores(PlaneOfLogits(), [batch])["loss"] == pytest.approx(whole, rel=1e-5)
    alone = task(**share).scores(PlaneOfLogits(), [batch])["loss"]
    assert alone == pytest.approx(ink, rel=1e-5)


def test_scores_leave_out_what_lies_outside_the_mask():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 6, 6, generator=random)
    target = (torch.rand(40, 6, 6, generator=random) < logits.sigmoid()).float()
    weight = (torch.rand(40, 6, 6, generator=random) < 0.7).float()
    inside = weight.bool()
    half, group = torch.arange(40) % 2 == 0, torch.arange(40) // 20
    terms = ScrollConfig.model_validate({}).loss.terms
    scores, threshold = judged(logits, target, weight, half, terms)
    p = logits.double().sigmoid()
    low, high = auc_between(p[inside].numpy(), target[inside].numpy() > 0)
    assert low <= scores["auc"] <= high < low + 1e-3
    assert scores["prevalence"] == pytest.approx(target[inside].mean().item())
    spread = auc_spread(logits, target, weight, group)["auc spread"]
    each = [
        auc_of(p[g][inside[g]].numpy(), target[g][inside[g]].numpy() > 0)
        for g in (group == 0, group == 1)
    ]
    assert spread == pytest.approx(np.std(each, ddof=1), abs=1e-4)
    false = torch.where(inside, target, 1 - target)
    assert auc_spread(logits, false, weight, group)["auc spread"] == spread
    everywhere = auc_spread(logits, false, torch.ones_like(weight), group)["auc spread"]
    assert abs(everywhere - spread) > 1e-3
    assert judged(logits, false, weight, half, terms) == (scores, threshold)
    assert judged(logits, false, torch.ones_like(weight), half, terms)[0]["auc"] < scores["auc"]


def test_voxels_are_scaled_by_mean_and_deviation():
    """z-scores: of uniform voxels 0..59,999 the mean is half, the deviation the twelfth's root."""
    volume = np.random.default_rng(0).integers(0, 60_000, (6, 64, 64)).astype(np.uint16)
    papyrus = Fragment("test", ArrayVolume(volume, "f"), np.ones((64, 64), bool), None)
    scale = cubes.scale_of(papyrus, papyrus.mask, "zscore", (6, 16, 16))
    assert scale.mean == pytest.approx(30_000, rel=0.02)
    assert scale.sd == pytest.approx(60_000 / 12**0.5, rel=0.02)
    assert cubes.scale_of(papyrus, papyrus.mask, "range", (6, 16, 16)) == cubes.Scale(0.0, 65_535.0)
