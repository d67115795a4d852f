"""Loss by distance to a window's border: pixels are compared with themselves."""

import numpy as np
import pytest
from scipy import stats

from famulus.tasks.scroll.border import Excess, Margin, inner, margin, paired, ring

SIZE, STEP, AREA = 32, 4, 64
CORNERS = [(y, x) for y in range(0, AREA - SIZE + 1, STEP) for x in range(0, AREA - SIZE + 1, STEP)]


def measured(border, seed=0, noise=0.02):
    """Windows on content whose own loss varies tenfold, times 1 + border(distance)."""
    rng = np.random.default_rng(seed)
    content = np.kron(rng.choice([0.2, 2.0], (8, 8)), np.ones((8, 8)))
    worse = 1 + border(ring(SIZE))
    loss = np.stack([content[y : y + SIZE, x : x + SIZE] * worse for y, x in CORNERS])
    loss *= 1 + noise * rng.normal(size=loss.shape)
    return loss, paired(loss, np.array(CORNERS), np.ones((AREA, AREA), bool), 16)


def test_the_border_is_found_whatever_the_content():
    loss, excess = measured(lambda r: np.where(r < 5, 0.5, 0.0))
    curve = excess.curve()
    assert np.allclose(curve[:5], 0.5, atol=0.02)
    assert np.allclose(curve[5:], 0.0, atol=0.02)
    found = margin(excess, SIZE)
    assert (found.value, found.low, found.high) == (5, 5, 5)
    assert "margin=5" in found.words(SIZE)
    assert "+50%" in found.words(SIZE)
    # side by side, content would decide: rings of a few windows differ more than the border does
    apart = [loss[CORNERS.index((y, x))] for y in (0, 32) for x in (0, 32)]
    plain = np.bincount(ring(SIZE).ravel(), np.mean(apart, 0).ravel())
    plain = plain / np.bincount(ring(SIZE).ravel())
    assert np.ptp(plain[5:]) / plain[5:].mean() > 0.2


def test_without_an_effect_no_margin():
    _, excess = measured(lambda r: 0.0 * r)
    found = margin(excess, SIZE)
    assert (found.value, found.high) == (0, 0)
    assert found.words(SIZE).startswith("no margin needed")


def test_only_valid_pixels_count():
    loss, _ = measured(lambda r: 0.0 * r, noise=0.0)
    valid = np.zeros((AREA, AREA), bool)
    valid[20:44, 20:44] = True
    bad = loss.copy()
    for window, (y, x) in zip(bad, CORNERS, strict=True):
        window[~valid[y : y + SIZE, x : x + SIZE]] = 99.0
    assert np.allclose(np.nan_to_num(paired(bad, np.array(CORNERS), valid, 16).curve()), 0)


def test_two_areas_are_one_measurement():
    one, other = (measured(lambda r: np.where(r < 5, 0.5, 0.0), seed)[1] for seed in (1, 2))
    both = one + other
    assert len(both.there_KR) == len(one.there_KR) + len(other.there_KR)
    assert margin(both, SIZE).value == 5


def test_the_interval_holds_nine_of_ten_bootstraps():
    """A hundred blocks, half of them poor: ring r is bad if more than r of those drawn are, so
    that the margin counts them, and its quantiles are those of a binomial law."""
    size, blocks, rings = 400, 100, 200
    poor = np.arange(blocks) % 2 == 0
    excess_R = 0.02 * blocks / (np.arange(rings) + 0.5)
    excess = Excess(1 + poor[:, None] * excess_R, np.ones((blocks, rings)))
    made = [margin(excess, size, seed=seed) for seed in range(20)]
    assert {m.value for m in made} == {50}
    low, high = (np.mean([getattr(m, side) for m in made]) for side in ("low", "high"))
    law = stats.binom(blocks, 0.5)
    assert (low, high) == pytest.approx(law.ppf([0.05, 0.95]), abs=1)
    for share in (0.5, 0.99):  # another interval's ends lie elsewhere
        assert np.abs(law.interval(share) - np.array([low, high])).min() > 2


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (Margin(4, 0, 20, 0.1), "cannot tell: between 0 and 20"),
        (Margin(inner(SIZE), inner(SIZE), inner(SIZE), 0.4), "no place is free"),
        (Margin(3, 2, 4, 0.4), "margin=3 (2 to 4)"),
    ],
)
def test_words(found, says):
    assert says in found.words(SIZE)
