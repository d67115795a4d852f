"""The mask of letterboxed pictures, and padding among codes, from the file to loss and scores.

Shapes: B pictures, C channels, Y X pixels, y x the grid, K codes. Pictures of 16 x 12 stand in
frames of 16 x 16: columns 2 to 13 are real, which are columns 1 to 6 of a grid of 8 x 8.
"""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.distributions import Normal, kl_divergence

from famulus.feed.feeder import validation_batches
from famulus.tasks.base import Parent, Position
from famulus.tasks.codes.code_source import code_counts
from famulus.tasks.codes.codes import Codes, CodesConfig
from famulus.tasks.codes.prior import Prior, PriorConfig

AT = Position(step=0, inputs=0, epoch=0, seed=0)
COUNT, SIDE, REAL, PLACES = 6, 16, slice(2, 14), slice(1, 7)


@pytest.fixture
def folder(tmp_path):
    for part, seed in (("train", 0), ("validation", 1)):
        random = np.random.default_rng(seed)
        (tmp_path / part).mkdir()
        for i in range(COUNT):
            grey = random.integers(0, 256, (16, 12, 3), np.uint8)
            Image.fromarray(grey).save(tmp_path / part / f"{i}.png")
    return tmp_path


def make(folder, model=(), **loss):
    data = {"name": str(folder), "size": SIDE, "channels": 3, "subset": None, "validation": None}
    quantiser = {"size": 16, "dim": 4, "pool": 0}
    model = {"widths": [8, 8], "quantiser": quantiser, **dict(model)}
    task = Codes(CodesConfig(data=data, model=model, loss=loss), {})
    torch.manual_seed(0)
    return task, task.build().eval()


def batch_of(task, part="validation"):
    return next(iter(validation_batches(getattr(task.data(), part), COUNT, "cpu")))


def answer_noise(net):
    """The net now answers the same noise for whatever it is picture; float64 BCYX of it."""
    noise = torch.rand(COUNT, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(7))
    for name in ("_draw", "decode"):
        if hasattr(net, name):
            setattr(net, name, lambda z: noise)
    return noise.double()


def real(x_BCYX):
    return x_BCYX[..., REAL].double()


@pytest.mark.parametrize(
    ("reconstruction", "scale"),
    [("mse", "none"), ("mse", "variance"), ("mse", "calibrated"), ("l1", "none"), ("bce", "none")],
)
@torch.no_grad()
def test_the_error_is_that_of_real_pixels(folder, reconstruction, scale):
    task, net = make(folder, reconstruction=reconstruction, scale=scale)
    batch, noise = batch_of(task), answer_noise(net)
    off = real(noise) - real(batch["image"])
    error = (
        {
            "mse": off.square(),
            "l1": off.abs(),
            "bce": -real(batch["image"]) * real(noise).sigmoid().log()
            - (1 - real(batch["image"])) * (1 - real(noise).sigmoid()).log(),
        }[reconstruction]
        .mean()
        .item()
    )
    if scale == "variance":
        error = error / real(batch_of(task, "train")["image"]).var(correction=0).item()
    if scale == "calibrated":
        error = (1 + math.log(2 * math.pi * error)) / 2
    scores = task.scores(net, [batch])
    for value in (task.loss(net, batch, AT)["recon"].item(), scores["recon"]):
        assert value == pytest.approx(error, rel=1e-4)
    picture = real(noise).sigmoid() if reconstruction == "bce" else real(noise)
    assert scores["l1"] == pytest.approx(
        (picture - real(batch["image"])).abs().mean().item(), rel=1e-4
    )
    whole = {k: v for k, v in batch.items() if k != "mask"}  # as if padding were a picture
    assert abs(task.loss(net, whole, AT)["recon"].item() - error) > 0.02


def test_statistics_of_the_training_set_are_those_of_real_pixels(folder):
    task, net = make(folder)
    pixels = real(batch_of(task, "train")["image"])
    mean, deviation = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3), correction=0)
    assert torch.allclose(net.scaling.mean_C.double(), mean, rtol=1e-5)
    assert torch.allclose(net.scaling.std_C.double(), deviation, rtol=1e-5)
    assert net.variance.item() == pytest.approx(pixels.var(correction=0).item(), rel=1e-5)


@torch.no_grad()
def test_places_that_cover_no_real_pixel_cost_no_commitment(folder):
    task, net = make(folder, commit_weight=3.0)
    batch = batch_of(task)
    z = net.latent(batch["image"]).double()
    book = net.quantiser.codebook_GKD[0].double()
    apart = (z.movedim(1, -1)[..., None, :] - book).square().sum(-1).amin(-1) / 4  # of 4 numbers
    commit = apart[..., PLACES].mean().item()
    parts = task.loss(net, batch, AT)
    assert parts["commit"].item() == pytest.approx(commit, rel=1e-5)
    assert parts["total"].item() == pytest.approx(parts["recon"].item() + 3 * commit, rel=1e-5)
    scores = task.scores(net, [batch])
    assert scores["commit"] == pytest.approx(commit, rel=1e-5)
    assert scores["loss"] == pytest.approx(scores["recon"] + 3 * commit, rel=1e-5)
    assert abs(apart.mean().item() / commit - 1) > 1e-3  # of all places


@pytest.mark.parametrize("model", [{}, {"kind": "vae", "code": 5}])
@torch.no_grad()
def test_nothing_in_the_padding_moves_the_loss(folder, model):
    task, net = make(folder, model)
    batch = batch_of(task)
    white = dict(batch, image=torch.where(batch["mask"] > 0, batch["image"], 1.0))
    for one, other in (
        (task.loss(net, batch, AT), task.loss(net, white, AT)),
        (task.scores(net, [batch]), task.scores(net, [white])),
    ):
        for name in set(one) - {"l1"}:  # drawn beside the picture as it came
            assert float(one[name]) == float(other[name]), name
    inside = batch["image"].clone()
    inside[..., 5] = 1 - inside[..., 5]
    other = task.loss(net, dict(batch, image=inside), AT)
    assert other["total"] != task.loss(net, batch, AT)["total"]


@torch.no_grad()
def test_the_divergence_is_spread_over_real_numbers(folder):
    loss = {"kl_weight": 40.0, "kl_warmup_inputs": 200}
    task, net = make(folder, {"kind": "vae", "code": 5}, **loss)
    batch = batch_of(task)
    mu, logvar = (t.double() for t in net.posterior(batch["image"]))
    kl = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1).mean().item()
    for inputs, share in ((0, 0.0), (50, 0.25), (200, 1.0), (999, 1.0)):
        parts = task.loss(net, batch, Position(step=0, inputs=inputs, epoch=0, seed=0))
        price = parts["total"].item() - parts["recon"].item()
        assert parts["kl"].item() == pytest.approx(kl, rel=1e-4)
        assert price == pytest.approx(share * 40 * kl / (16 * 12 * 3), rel=1e-3, abs=1e-6)
    scores = task.scores(net, [batch])
    assert scores["loss"] - scores["recon"] == pytest.approx(40 * kl / (16 * 12 * 3), rel=1e-3)


# -- codes that are predicted ----------------------------------------------------------------------

SIZE = 5


class KnownLogits(nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, codes, label=None):
        return self.logits


def case():
    """logits of 3 pictures of 4 x 4 places, codes, and which are padding: a row, then two."""
    random = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(3, 4, 4, 1, SIZE, generator=random)
    codes = torch.randint(SIZE, (3, 4, 4, 1), generator=random)
    padding = torch.zeros(3, 4, 4, 1, dtype=torch.bool)
    padding[1, 0], padding[2, 2:] = True, True
    return logits, codes, padding


@torch.no_grad()
def test_padding_among_codes_counts_neither_as_right_nor_as_cheap():
    logits, codes, padding = case()
    batch = {"codes": codes.masked_fill(padding, SIZE)}
    task = Prior(PriorConfig(data={"name": "digits", "levels": SIZE}), {})
    nats = -logits.double().log_softmax(-1).gather(-1, codes[..., None])[..., 0]
    mean, count = nats[~padding].mean().item(), 48 - 4 - 8
    right = (logits.argmax(-1) == codes)[~padding].double().mean().item()
    assert task.loss(KnownLogits(logits), batch, AT)["total"].item() == pytest.approx(
        mean, rel=1e-5
    )
    scores = task.scores(KnownLogits(logits), [batch])
    assert scores == pytest.approx(
        {
            "loss": mean,
            "accuracy": right,
            "bits_per_code": mean / math.log(2),
            "nats_per_picture": mean * count / 3,
            "bits_per_dim": mean / math.log(2),  # a code is a pixel here
        },
        rel=1e-5,
    )
    wild = torch.where(padding[..., None], 9 * logits.flip(-1), logits)
    assert task.loss(KnownLogits(wild), batch, AT)["total"] == pytest.approx(mean, rel=1e-5)
    known = torch.where(padding[..., None], 50 * torch.eye(SIZE)[codes], logits)
    assert task.scores(KnownLogits(known), [batch]) == pytest.approx(scores, rel=1e-5)
    assert abs(nats.mean().item() / mean - 1) > 1e-3  # padding as codes
    raised = logits.clone()
    raised[0, 1, 1, 0, codes[0, 1, 1, 0]] += 3
    p = logits[0, 1, 1, 0].double().softmax(-1)[codes[0, 1, 1, 0]].item()
    less = mean - (3 - math.log(1 + p * (math.exp(3) - 1))) / count
    assert task.loss(KnownLogits(raised), batch, AT)["total"].item() == pytest.approx(
        less, rel=1e-5
    )


def test_unigram_floors_are_nats_and_bits_of_frequencies():
    own = {"name": "digits", "channels": 1, "subset": 100, "validation": 40, "levels": 4}
    task = Prior(PriorConfig(data=own), {})
    floors = {name: floor.value for name, floor in task.floors(task.data()).items()}
    train, held_out = (
        code_counts(part, 4)[0].double().numpy()
        for part in (task.data().train, task.data().validation)
    )
    p = (train + 1) / (train + 1).sum()
    nats = -(held_out * np.log(p)).sum() / held_out.sum()
    share = held_out / held_out.sum()
    assert floors["unigram"] == pytest.approx(nats)
    assert floors["unigram, bits_per_code"] == pytest.approx(nats / math.log(2))
    assert floors["unigram, nats_per_picture"] == pytest.approx(nats * 64)
    assert floors["unigram, bits_per_dim"] == pytest.approx(nats / math.log(2))
    assert floors["unigram entropy"] == pytest.approx(-(share * np.log2(share)).sum())
    assert floors["initial loss"] == pytest.approx(math.log(4))


def test_bits_a_dimension_are_of_real_numbers(folder, tmp_path, monkeypatch):
    """A first stage's codes describe 16 x 12 x 3 numbers a picture, whatever frames they fill."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    codes, net = make(folder)
    config = codes.config.model_dump(mode="json") | {"task": "codes"}
    parent = Parent("abc", config, net.state_dict())
    task = Prior(PriorConfig(model={"width": 8, "layers": 1}), {"codes": parent})
    floors = {name: floor.value for name, floor in task.floors(task.data()).items()}
    bits = floors["unigram, bits_per_code"] * 8 * 6
    assert floors["unigram, bits_per_dim"] == pytest.approx(bits / (16 * 12 * 3))
    assert floors["unigram, nats_per_picture"] == pytest.approx(bits * math.log(2))
