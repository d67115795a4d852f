"""Pretexts against per-sample NumPy, closed forms, and their own promise: a sample is its seed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from famulus.feed import draws
from famulus.images.views import View
from famulus.tasks.pretext import constant_baseline as constant
from famulus.tasks.pretext import transforms as pretext
from famulus.tasks.pretext.answers import accuracy_of_sets, pixel_probe
from famulus.tasks.pretext.questions import KINDS, Question, partners
from famulus.tasks.pretext.shortcuts import take_away, without_seam


def seeds(count, start=0):
    mixed = np.random.default_rng(start).integers(0, 2**64, count, dtype=np.uint64)
    return draws.seeds_of(mixed)


def pictures(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


# -- draws --------------------------------------


def test_the_mixer_is_splitmix64():
    """The first outputs from state 1234567, as in the reference implementation's test vector."""
    assert [int(draws._mix(torch.tensor(1234567))) & (2**64 - 1)] == [6457827717110365317]


def test_uniforms_are_uniform_and_independent_of_their_neighbours():
    u = draws.uniforms(seeds(4000), 3, 5)
    assert stats.kstest(u.flatten().numpy(), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u.numpy().T) - np.eye(5)).max() < 0.06
    assert torch.equal(draws.uniforms(seeds(4000)[7:9], 3, 5), u[7:9])
    assert not torch.equal(draws.uniforms(seeds(4000), 4, 5), u)  # another stream


def test_normals_are_normal():
    assert stats.kstest(draws.normals(seeds(3000), 1, 3).flatten().numpy(), "norm").pvalue > 1e-3


@given(st.integers(1, 6), st.integers(0, 6))
@settings(max_examples=30, deadline=None)
def test_distinct_numbers_are_distinct_and_fair(count, more):
    below = count + more
    found = draws.distinct(seeds(600), 2, count, below)
    assert found.min() >= 0
    assert found.max() < below
    assert all(len(set(row)) == count for row in found.tolist())
    share = torch.bincount(found.flatten(), minlength=below) / len(found)
    assert (share - count / below).abs().max() < 0.12


def test_a_need_for_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match="expected at most 2 different"):
        draws.distinct(seeds(1), 0, 3, 2)


# -- unmix --------------------------------------


def test_weights_follow_the_beta_law():
    w = pretext.unmix_draw(seeds(4000), 3, 2, alpha=0.4)
    # two shares, each rounded to float32
    assert (w.double().sum(1) - 1).abs().max() < 2e-7
    assert ((w > 0).sum(1) == 2).all()
    first = w[torch.arange(4000), (w > 0).int().argmax(1)]
    assert stats.kstest(first.numpy(), stats.beta(0.4, 0.4).cdf).pvalue > 1e-3
    assert stats.kstest(first.numpy(), stats.beta(0.9, 0.9).cdf).pvalue < 1e-3  # can fail
    assert ((w > 0).double().mean(0) - 2 / 3).abs().max() < 0.03


@given(st.floats(0.05, 5), st.floats(0, 0.3), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_weights_sum_to_one_above_the_least(alpha, least, mixed):
    w = pretext.unmix_draw(seeds(50), 4, mixed, alpha, least)
    assert (w.double().sum(1) - 1).abs().max() < 1e-6  # up to three, each of a few roundings
    assert (w[w > 0] >= least - 1e-6).all()


def test_a_mixture_is_the_weighted_sum_and_pixels_tell_the_weights():
    x = pictures(8, 3, 3, 6, 6)
    made = pretext.unmix(x, x, pretext.unmix_draw(seeds(8), 3, 2))
    for b in range(8):
        each = [x[b, n].double() for n in range(3)]
        expected = sum(float(w) * one for w, one in zip(made.weights[b], each, strict=True))
        assert (made.image[b] - expected).abs().max() < 1e-6  # three terms, their sum below 1
        turned = sum(float(w) * one for w, one in zip(made.weights[b].roll(1), each, strict=True))
        assert (made.image[b] - turned).abs().max() > 0.01
    columns = made.sources.flatten(2).transpose(1, 2).double()
    found = torch.linalg.lstsq(columns, made.image.flatten(1)[..., None].double()).solution[..., 0]
    assert (found - made.weights).abs().max() < 1e-5  # solvable, and without any semantics
    assert accuracy_of_sets(found, made.target).all()


def test_trivial_rungs_hold_true_copies():
    x = pictures(16, 3, 3, 6, 6)
    w = pretext.unmix_draw(seeds(16), 3, 2)
    source = pretext.unmix(x, x, w, "source")
    rows = torch.arange(16)
    assert torch.equal(source.image, x[rows, w.argmax(1)])
    assert (source.target.sum(1) == 1).all()
    mixture = pretext.unmix(x, x, w, "mixture")
    place = (w == 0).int().argmax(1)
    assert torch.equal(mixture.sources[rows, place], mixture.image)
    assert (mixture.target.sum(1) == 3).all()


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="received mixed=4"):
        pretext.unmix_draw(seeds(2), 3, 4)


# -- the others, against one sample at a time --------------------------------------


def test_scale_shows_dimmed_copies_and_blanks():
    x = pictures(9, 1, 5, 5)
    made = pretext.scale(x, pretext.scale_draw(seeds(9), 4, 2, 0.3))
    assert (made.target.sum(1) == 2).all()
    assert torch.equal(made.sources[2, 1], x[2] * made.weights[2, 1])
    assert made.weights[made.target > 0].min() >= 0.3


@pytest.mark.parametrize("grid", [2, 3])
def test_a_quadrant_is_the_enlarged_cell(grid):
    x = pictures(12, 3, 12, 12).double()
    cell = pretext.quadrant_draw(seeds(12), grid)
    made = pretext.quadrant(x, cell, grid)
    side = 12 // grid
    for b in range(12):
        top, left = int(cell[b]) // grid * side, int(cell[b]) % grid * side
        inner = made.image[b, :, grid:-grid, grid:-grid]
        part = x[b : b + 1, :, top : top + side, left : left + side]
        big = torch.nn.functional.interpolate(part, size=12, mode="bilinear")[0]
        # all is float64 but the centres of the cells
        assert (inner - big[:, grid:-grid, grid:-grid]).abs().max() < 3e-6
        assert (inner - x[b, :, grid:-grid, grid:-grid]).abs().max() > 0.1
    assert set(cell.tolist()) <= set(range(grid**2))


def test_patchwork_pastes_exactly_the_patch():
    x, other = pictures(20, 3, 9, 11), 1 - pictures(20, 3, 9, 11)
    patch = pretext.patch_draw(seeds(20), (9, 11), 4)
    made = pretext.patchwork(x, other, patch)
    for b in range(20):
        expected = x[b].clone()
        donor = x[b] if patch.own_B[b] else other[b]
        (fy, fx), (ty, tx) = patch.from_B2[b].tolist(), patch.to_B2[b].tolist()
        expected[:, ty : ty + 4, tx : tx + 4] = donor[:, fy : fy + 4, fx : fx + 4]
        assert torch.equal(made.image[b], expected)
    assert torch.equal(made.target, patch.own_B.long())
    assert made.box[3].tolist() == [*patch.to_B2[3].tolist(), 4, 4]


def test_the_place_of_a_patch_says_nothing_of_the_answer():
    patch = pretext.patch_draw(seeds(6000), (20, 20), 6)
    own = patch.own_B
    for place in (patch.from_B2, patch.to_B2):
        for axis in range(2):
            a, b = place[own, axis].numpy(), place[~own, axis].numpy()
            assert stats.ks_2samp(a, b).pvalue > 1e-3
    shifted = patch.to_B2[own, 0] + 1  # a law that differs by one pixel is seen
    assert stats.ks_2samp(shifted.numpy(), patch.to_B2[~own, 0].numpy()).pvalue < 1e-3


def test_patches_reach_the_last_row_and_column():
    """Every place where a patch of 6 fits in 20 x 17 is as likely as any other, the last too."""
    patch = pretext.patch_draw(seeds(6000), (20, 17), 6)
    for place in (patch.from_B2, patch.to_B2):
        for axis, room in enumerate((14, 11)):
            counts = np.bincount(place[:, axis].numpy(), minlength=room + 1)
            assert len(counts) == room + 1
            assert stats.chisquare(counts).pvalue > 1e-3
            assert stats.chisquare([*counts[:-1], 0]).pvalue < 1e-3  # short of the last one


@pytest.mark.parametrize(
    ("draw", "count"),
    [(lambda s: pretext.quadrant_draw(s, 3), 9), (pretext.rotation_draw, 4)],
    ids=["quadrant", "rotation"],
)
def test_classes_are_drawn_evenly(draw, count):
    counts = np.bincount(draw(seeds(6000)).numpy(), minlength=count)
    assert len(counts) == count
    assert stats.chisquare(counts).pvalue > 1e-3


def test_share_of_positives_and_the_fixed_place():
    assert (
        abs(float(pretext.patch_draw(seeds(4000), (8, 8), 3, 0.3).own_B.double().mean()) - 0.3)
        < 0.03
    )
    fixed = pretext.patch_draw(seeds(5), (8, 8), 4, 1.0, fixed=True)
    assert fixed.own_B.all()
    assert fixed.to_B2.unique(dim=0).tolist() == [[2, 2]]


def test_rotation_is_rot90():
    x = pictures(10, 3, 7, 7)
    turns = pretext.rotation_draw(seeds(10))
    made = pretext.rotation(x, turns)
    for b in range(10):
        assert np.array_equal(made.image[b].numpy(), np.rot90(x[b].numpy(), int(turns[b]), (1, 2)))
    with pytest.raises(ValueError, match="square"):
        pretext.rotation(pictures(2, 3, 7, 8), turns[:2])


# -- whole questions --------------------------------------

VIEW = View(least_area=0.5, flip_h=0.5, jitter=0.3, grey=0.2, noise=0.5)


def question(kind, **more):
    mixed = 1 if kind == "contrastive" else 2
    return Question(kind, **{"mixed": mixed, "view": VIEW, "independent": True, **more})


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_a_function_of_its_seed_alone(kind):
    ask, x, s = question(kind), pictures(6, 3, 3, 12, 12), seeds(6)
    x = x[:, : ask.pictures]
    whole = ask.compose(x, s)
    alone = ask.compose(x[4:5], s[4:5])
    for name in ("image", "target", "sources", "weights", "box"):
        a, b = getattr(whole, name), getattr(alone, name)
        assert (a is None) == (b is None)
        # float32: of a frame of 12 pixels a place is known to some 1e-6 pixels, a colour to 1e-6
        assert a is None or torch.allclose(a[4:5].double(), b.double(), atol=1e-5)
    other = ask.compose(x, seeds(6, start=1))
    assert not torch.allclose(whole.image, other.image)
    assert whole.image.min() >= 0
    assert whole.image.max() <= 1 + 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copied", [None, "source", "mixture"])
@pytest.mark.parametrize("control", [None, "shuffled"])
def test_answers_without_pixels_are_those_of_the_questions(kind, copied, control):
    ask = question(kind, copy=copied if kind == "unmix" else None, control=control)
    x, s = pictures(40, 3, 3, 8, 8)[:, : ask.pictures], seeds(40)
    made, drawn = ask.compose(x, s), ask.draw(s, (8, 8))
    assert torch.allclose(
        (made.weights if ask.classes is None else made.target).double(), drawn.double()
    )


@pytest.mark.parametrize("control", ["noise", "zero"])
def test_controls_keep_nothing_of_the_pictures(control):
    ask = question("unmix", control=control)
    a = ask.compose(pictures(6, 3, 3, 8, 8), seeds(6))
    b = ask.compose(1 - pictures(6, 3, 3, 8, 8), seeds(6))
    assert torch.equal(a.image, b.image)
    assert torch.equal(a.sources, b.sources)
    plain = question("unmix")  # without the control they differ
    other = plain.compose(1 - pictures(6, 3, 3, 8, 8), seeds(6))
    assert not torch.equal(plain.compose(pictures(6, 3, 3, 8, 8), seeds(6)).image, other.image)


def test_partners_are_others_and_their_own_comes_first():
    index = torch.arange(5).repeat(100)
    found = partners(seeds(500), index, 3, 5)
    assert torch.equal(found[:, 0], index)
    assert all(len(set(row)) == 3 for row in found.tolist())
    with pytest.raises(ValueError, match="expected at least 3 pictures, received 2"):
        partners(seeds(2), torch.tensor([0, 1]), 3, 2)


# -- shortcuts --------------------------------------


def test_the_seam_is_covered_and_nothing_else():
    x = pictures(3, 3, 16, 16)
    box = torch.tensor([[4, 5, 6, 6]] * 3)
    out = without_seam(x, box, 1)
    changed = (out != x).any(1)[0]
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[3:11, 4:12] = True
    expected[5:9, 6:10] = False
    assert torch.equal(changed, expected)
    with pytest.raises(ValueError, match="seam"):
        take_away("seam", x)


def test_detail_and_colour_are_gone():
    x = pictures(2, 3, 8, 8)
    grey = take_away("colour", x)
    assert (grey == grey[:, :1]).all()
    assert x.std(1).max() > 0.1
    checker = ((torch.arange(8)[:, None] + torch.arange(8)) % 2).float().expand(1, 3, 8, 8)
    assert (take_away("detail", checker.double()) - 0.5).abs().max() < 1e-15
    assert take_away("detail", x[:, None]).shape == x[:, None].shape


# -- floors and answers --------------------------------------


def test_floors_are_the_least_of_all_constants():
    """Brute force over constants, on the targets of two of three."""
    w = pretext.unmix_draw(seeds(300), 3, 2).double()
    t = (w > 0).double()
    grid = torch.linspace(0.01, 0.99, 99).double()
    bce = [-(t * p.log() + (1 - t) * (1 - p).log()).mean() for p in grid]
    assert constant.multi_label(t) <= min(bce) + 1e-9
    assert constant.multi_label(t) == pytest.approx(0.6365, abs=2e-3)
    mae = min(float((w - c).abs().mean()) for c in grid)
    assert constant.absolute(w) <= mae + 1e-9
    mse = min(float((w - c).square().mean()) for c in grid)
    assert constant.squared(w) <= mse + 1e-9
    margin = min(float((t * d**2 + (1 - t) * (1 - d).clamp(min=0) ** 2).mean()) for d in grid)
    assert constant.margin(t) == pytest.approx(margin, abs=2e-3)
    apart = [float((w - c).norm(dim=1).mean()) for c in w]  # the best sample is no better
    assert constant.pairwise(w) <= min(apart) + 1e-9
    assert constant.classes(torch.tensor([0, 1, 2, 3]), 4) == pytest.approx(math.log(4))
    assert constant.set_chance(3, 2) == pytest.approx(1 / 3)


def test_equal_logits_are_no_answer():
    target = torch.tensor([[1.0, 1.0, 0.0]] * 3)
    logits = torch.tensor([[2.0, 1.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.5]])
    assert accuracy_of_sets(logits, target).tolist() == [True, False, False]


def test_the_pixel_probe_sees_brightness_and_not_noise():
    x, y = pictures(400, 1, 8, 8), torch.arange(400) % 2
    bright = x * 0.2 + 0.5 * y[:, None, None, None]
    assert pixel_probe(bright[:200], y[:200], bright[200:], y[200:], 2) > 0.99
    assert pixel_probe(x[:200], y[:200], x[200:], y[200:], 2) < 0.65
