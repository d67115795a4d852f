"""Every prior: causality by perturbation, cached equals parallel, and a sampler that is exact."""

import itertools
from typing import NamedTuple

import pytest
import torch
from benchmarks.reference_sampler import cached_logits
from torch import nn
from torch.nn import functional as F

from famulus.tasks.codes.causality import moved, self_test
from famulus.tasks.codes.pixelcnn import PixelCNN
from famulus.tasks.codes.prior_net import PriorNet
from famulus.tasks.codes.sampler import (
    TEMPERATURES,
    Sampling,
    draw,
    probabilities,
    sample,
)
from famulus.tasks.codes.transformer import Transformer

SIZE = 6


def prior(kind: str, grid=(4, 6), per_place=2, classes=0, **options) -> PriorNet:
    torch.manual_seed(0)
    if kind == "pixelcnn":
        options = {"layers": 2, "first_kernel": 3, "width": 8} | options
        return PixelCNN(SIZE, grid, per_place, classes, **options).eval()
    options = {"layers": 2, "heads": 2, "width": 8} | options
    return Transformer(SIZE, grid, per_place, classes, **options).eval()


def codes(batch=1, grid=(4, 6), per_place=2) -> torch.Tensor:
    return torch.randint(
        SIZE, (batch, *grid, per_place), generator=torch.Generator().manual_seed(1)
    )


class Breach(NamedTuple):
    """Logits that moved though they must not, or did not though they must."""

    place: int
    code: int
    forbidden: int
    missing: int


@torch.no_grad()
def breaches(model, codes, label=None, flips=None):
    """Every flip (place, code) whose moved set is not the declared one; of all, if not given."""
    found = []
    for place, h in flips or itertools.product(range(model.places), range(model.per_place)):
        changed = moved(lambda c: model(c, label), codes, place, h, model.size)
        declared = model.reach(place, h)
        counts = int((changed & ~declared).sum()), int((declared & ~changed).sum())
        if any(counts):
            found.append(Breach(place, h, *counts))
    return found


@pytest.mark.parametrize("kind", ["pixelcnn", "transformer"])
@pytest.mark.parametrize("classes", [0, 3])
def test_each_flip_moves_exactly_what_is_declared(kind, classes):
    label = torch.tensor([2]) if classes else None
    model = prior(kind, classes=classes).double()
    assert breaches(model, codes(), label) == []


def test_a_deeper_pixelcnn_declares_a_larger_reach():
    model = prior("pixelcnn", grid=(7, 7), layers=4, first_kernel=5).double()
    assert breaches(model, codes(grid=(7, 7)), flips=[(0, 0), (10, 1), (24, 0), (48, 1)]) == []
    assert model.reach(0, 0).sum() > prior("pixelcnn", grid=(7, 7)).reach(0, 0).sum()


class Leaky(PixelCNN):
    """A wrong mask: the first horizontal convolution sees its own place."""

    def features(self, codes, label_BC):
        return super().features(codes.roll(-1, 2), label_BC)


class RowsOnly(PixelCNN):
    """What a one-hot map of rank 5 does in a 2D convolution: rows become part of the batch."""

    def features(self, codes, label_BC):
        rows = F.one_hot(codes, self.size).float()  # B Y X H K: convolved over (X, H)
        batch = rows.flatten(0, 1).permute(0, 3, 1, 2)
        shape = (self.width, self.size, 3, 1)
        kernel = torch.linspace(-1, 1, torch.Size(shape).numel(), dtype=self.rows.dtype).view(shape)
        out = F.conv2d(F.pad(batch.to(kernel), (0, 0, 3, 0)), kernel.sin())[:, :, :-1].mean(3)
        return out.unflatten(0, codes.shape[:2]).permute(0, 1, 3, 2)


@pytest.mark.parametrize(("broken", "what"), [(Leaky, "forbidden"), (RowsOnly, "missing")])
def test_a_wrong_mask_and_isolated_rows_are_seen(broken, what):
    torch.manual_seed(0)
    model = broken(SIZE, (4, 6), 2, width=8, layers=2, first_kernel=3).double().eval()
    found = breaches(model, codes())
    assert sum(getattr(breach, what) for breach in found) > 0
    with pytest.raises(ValueError, match="causality: flipping code 0") as refused:
        self_test(model)
    assert refused.value.cause == "not-causal"


def test_isolated_rows_leave_every_other_row_alone():
    torch.manual_seed(0)
    model = RowsOnly(SIZE, (4, 6), 1, width=8, layers=2, first_kernel=3).double().eval()
    changed = moved(model, codes(per_place=1), 6 * 1 + 2, 0, SIZE).view(4, 6)
    assert changed[1].any()
    assert not changed[[0, 2, 3]].any()


@pytest.mark.parametrize("kind", ["pixelcnn", "transformer"])
@pytest.mark.parametrize(("per_place", "classes"), [(1, 0), (2, 0), (3, 4)])
def test_cached_equals_parallel(kind, per_place, classes):
    model = prior(kind, per_place=per_place, classes=classes, grid=(5, 7), width=16).double()
    given = codes(3, (5, 7), per_place)
    given[:, :, 6] = SIZE  # padding is an input like any other
    label = torch.tensor([0, 3, 1]) if classes else None
    assert (model(given, label) - cached_logits(model, given, label)).abs().max() < 1e-12


def test_a_stale_cache_is_seen():
    class Stale(PixelCNN):
        def put(self, state, place, codes_BH):
            if place != 3:
                super().put(state, place, codes_BH)

    torch.manual_seed(0)
    model = Stale(SIZE, (4, 6), 2, width=8, layers=2).double().eval()
    assert (model(codes()) - cached_logits(model, codes())).abs().max() > 1e-3


def test_transformer_takes_a_volume_and_pixelcnn_refuses():
    model = prior("transformer", grid=(2, 3, 4)).double()
    given = codes(grid=(2, 3, 4))
    assert breaches(model, given) == []
    assert (model(given) - cached_logits(model, given)).abs().max() < 1e-12
    with pytest.raises(ValueError, match="two axes"):
        prior("pixelcnn", grid=(2, 3, 4))


def test_samples_follow_the_model():
    """All 3^4 maps of a tiny prior: frequencies of 4,000 samples against its probabilities."""
    torch.manual_seed(0)
    model = PixelCNN(3, (2, 2), 1, width=8, layers=2, first_kernel=3).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)  # far from uniform
        every = torch.tensor(list(itertools.product(range(3), repeat=4))).view(81, 2, 2, 1)
        p = model(every).log_softmax(-1).gather(-1, every[..., None]).flatten(1).sum(1).exp()
    assert p.sum() == pytest.approx(1, abs=1e-12)
    drawn = sample(model, 4000, Sampling(seed=3)).flatten(1)
    index = (drawn * torch.tensor([27, 9, 3, 1])).sum(1)
    frequency = torch.bincount(index, minlength=81) / 4000
    chi2 = (4000 * (frequency - p).square() / p).sum()
    assert chi2 < 80 + 4 * (2 * 80) ** 0.5
    uniform = (4000 * (frequency - 1 / 81).square() * 81).sum()  # control
    assert uniform > 80 + 4 * (2 * 80) ** 0.5


@pytest.mark.parametrize("kind", ["pixelcnn", "transformer"])
def test_a_picture_depends_on_its_seed_and_number_alone(kind):
    # float64: in no processor's rounding does a number fall on the other side of a code's share
    model, how = prior(kind).double(), Sampling(seed=5, temperature=1.5)
    four = sample(model, 4, how)
    assert torch.equal(sample(model, 2, how, first=2), four[2:])
    assert not torch.equal(sample(model, 4, Sampling(seed=6, temperature=1.5)), four)


def test_a_partial_picture_keeps_what_is_given():
    model = prior("pixelcnn")
    given = codes(2)
    given[:, 2:] = -1
    given[0, 0, 0, 0] = SIZE  # padding stays padding
    given[1, 1, 5, 1] = -1
    seen = []
    out = sample(model, 2, given=given, progress=lambda done, total: seen.append((done, total)))
    kept = given >= 0
    assert torch.equal(out[kept], given[kept])
    assert out[~kept].max() < SIZE
    assert out.min() >= 0
    assert seen[-1] == (24, 24)
    with pytest.raises(ValueError, match="given codes of shape"):
        sample(model, 3, given=given)


def test_temperature_top_k_and_top_p():
    logits = torch.tensor([[0.0, 1.0, 2.0, 2.0, -torch.inf]], dtype=torch.float64)
    p = logits.softmax(1)
    torch.testing.assert_close(
        probabilities(logits, Sampling(temperature=2)), (logits / 2).softmax(1)
    )
    assert probabilities(logits, Sampling(temperature=0)).tolist() == [[0, 0, 1, 0, 0]]
    assert (probabilities(logits, Sampling(top_k=1)) > 0).sum() == 1  # a tie lets none slip in
    kept = probabilities(logits, Sampling(top_p=0.75))
    assert (kept > 0).tolist() == [[False, False, True, True, False]]
    assert p[0, 2:4].sum() >= 0.75
    assert kept.sum() == pytest.approx(1)
    everything = Sampling(top_k=5, top_p=1.0)
    torch.testing.assert_close(probabilities(logits, everything), p)


def test_no_code_of_probability_zero_is_drawn():
    p = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]).repeat(4, 1)
    u = torch.tensor([1e-300, 0.5, 0.5 + 1e-12, 1.0], dtype=torch.float64)
    assert draw(p, u).tolist() == [1, 1, 3, 3]


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize("wrong", [
    {"temperature": -1}, {"temperature": NAN}, {"temperature": INFINITY}, {"temperature": 1e-9},
    {"temperature": 10**400}, {"temperature": False}, {"top_k": 0}, {"top_k": NAN}, {"top_p": 0},
    {"top_p": 1.5}, {"top_p": NAN}, {"top_p": True}, {"seed": NAN}, {"seed": INFINITY},
])  # fmt: skip
def test_sampling_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_outermost_temperatures_still_give_probabilities(temperature):
    logits = torch.tensor([[30.0, -30.0, 29.0]])
    p = probabilities(logits, Sampling(temperature=temperature))
    assert p.isfinite().all()
    torch.testing.assert_close(p.sum(), torch.ones(()))
    logits = logits.double() / 1e-320  # control: what a temperature far below them comes to
    assert logits.softmax(1).isnan().any()


def test_shapes_and_labels_are_checked():
    with pytest.raises(ValueError, match=r"grid \(4, 6\) with 2 a place"):
        prior("pixelcnn")(codes(grid=(4, 5)))
    with pytest.raises(ValueError, match=r"label in 0\.\.2"):
        prior("pixelcnn", classes=3)(codes())
    with pytest.raises(ValueError, match="2 heads"):
        prior("transformer", width=7)


def test_dropout_and_training_mode_survive_sampling():
    model = prior("transformer", dropout=0.5).train()
    first = sample(model, 2)
    assert model.training
    assert torch.equal(sample(model, 2), first)  # eval mode inside
    assert isinstance(model, nn.Module)
