"""Each score against its formula written out in float64 numpy, voxel by voxel."""

import itertools

import numpy as np
import pytest

from famulus.tasks.qsm import map_scores as m

RANDOM = np.random.default_rng(0)
SHAPE = (9, 10, 11)
TRUTH = RANDOM.normal(0, 0.05, SHAPE)
X = 0.8 * TRUTH + RANDOM.normal(0.01, 0.01, SHAPE)
MASK = RANDOM.random(SHAPE) < 0.7


def test_nrmse():
    a, b = X[MASK] - X[MASK].mean(), TRUTH[MASK] - TRUTH[MASK].mean()
    exact = 100 * np.sqrt(sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) / sum(b * b))
    assert m.nrmse(X, TRUTH, MASK) == pytest.approx(exact)
    assert m.nrmse(X + 3, TRUTH, MASK) == pytest.approx(exact)  # a map has no absolute zero
    assert m.nrmse(np.zeros(SHAPE), TRUTH, MASK) == pytest.approx(100)


def test_detrended_nrmse():
    design = np.stack([TRUTH[MASK], np.ones(MASK.sum())], 1)
    slope, offset = np.linalg.solve(design.T @ design, design.T @ X[MASK])
    b = TRUTH[MASK]
    exact = 100 * np.linalg.norm((X[MASK] - offset) / slope - b) / np.linalg.norm(b - b.mean())
    assert m.detrended_nrmse(X, TRUTH, MASK) == pytest.approx(exact)
    assert m.detrended_nrmse(0.5 * TRUTH + 1, TRUTH, MASK) == pytest.approx(0, abs=1e-9)
    assert m.nrmse(0.5 * TRUTH + 1, TRUTH, MASK) > 40  # the plain one does not forgive a slope


def log_kernel():
    """Second derivatives of a Gaussian of 1.5 voxels, normalised in 1-D, 7 voxels each way."""
    r = np.arange(-8, 9)  # truncate 5 * 1.5 = 7.5, rounded
    g = np.exp(-0.5 * (r / 1.5) ** 2)
    g /= g.sum()
    g2 = g * (r**2 / 1.5**4 - 1 / 1.5**2)
    return g, g2


def test_hfen():
    g, g2 = log_kernel()

    def laplace(v):
        total = 0
        for axis in range(3):
            out = v
            for a in range(3):
                k = g2 if a == axis else g
                wide = np.pad(out, [(8, 8) if b == a else (0, 0) for b in range(3)], "symmetric")
                out = np.apply_along_axis(lambda w, k=k: np.convolve(w, k, "valid"), a, wide)
            total = total + out
        return total

    a, b = laplace(X)[MASK], laplace(TRUTH)[MASK]
    exact = 100 * np.linalg.norm(a - b) / np.linalg.norm(b)
    assert m.hfen(X, TRUTH, MASK) == pytest.approx(exact, rel=1e-6)


def windowed(window, x, y, mask, c1, c2, truncated):
    """The index at each voxel of the mask with loops over the window."""
    half = window.shape[0] // 2
    values = []
    for at in itertools.product(*map(range, x.shape)):
        if not mask[at]:
            continue
        weights, xs, ys = [], [], []
        for offset in itertools.product(range(-half, half + 1), repeat=3):
            place = tuple(p + o for p, o in zip(at, offset, strict=True))
            inside = all(0 <= p < n for p, n in zip(place, x.shape, strict=True))
            if not inside and truncated:
                continue
            weights.append(window[tuple(o + half for o in offset)])
            xs.append(x[place] if inside else 0.0)
            ys.append(y[place] if inside else 0.0)
        w = np.array(weights) / np.sum(weights)
        xs, ys = np.array(xs), np.array(ys)
        mx, my = w @ xs, w @ ys
        vx, vy, cov = w @ xs**2 - mx**2, w @ ys**2 - my**2, w @ (xs * ys) - mx * my
        top = (2 * mx * my + c1) * (2 * cov + c2)
        values.append(top / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return np.mean(values)


SMALL = tuple(slice(0, n) for n in (7, 6, 8))


def gauss():
    w = np.exp(-0.5 * (np.arange(-3, 4) / 1.5) ** 2)
    return w[:, None, None] * w[:, None] * w


def test_xsim_with_both_windows():
    x, y, mask = X[SMALL], TRUTH[SMALL], MASK[SMALL]
    uniform = windowed(np.ones((5, 5, 5)), x, y, mask, 1e-4, 1e-6, truncated=True)
    gaussian = windowed(gauss(), x, y, mask, 1e-4, 1e-6, truncated=False)
    assert m.xsim_uniform(x, y, mask) == pytest.approx(uniform, rel=1e-9)
    assert m.xsim_gaussian(x, y, mask) == pytest.approx(gaussian, rel=1e-9)
    assert uniform != pytest.approx(gaussian, rel=1e-3)  # two numbers: never mix them


def test_ssim():
    x, y, mask = X[SMALL], TRUTH[SMALL], MASK[SMALL]
    span = np.ptp(y[mask])
    exact = windowed(gauss(), x, y, mask, (0.01 * span) ** 2, (0.03 * span) ** 2, truncated=False)
    assert m.ssim(x, y, mask) == pytest.approx(exact, rel=1e-9)


def test_region_slope():
    labels = np.zeros(SHAPE, np.uint8)
    labels[:3], labels[3:6], labels[6:] = 1, 2, 3
    truth = TRUTH + 0.1 * labels
    assert m.region_slope(0.7 * truth + 0.2, truth, labels, (1, 2, 3)) == pytest.approx(0.7)
    assert np.isnan(m.region_slope(truth, truth, labels, (9,)))


@pytest.mark.parametrize("name", m.SCORES)
def test_identical_maps_are_perfect(name):
    best = 0 if name in ("nrmse", "detrended_nrmse", "hfen") else 1
    assert m.SCORES[name](TRUTH, TRUTH, MASK) == pytest.approx(best, abs=1e-9)
    assert m.SCORES[name](RANDOM.permuted(TRUTH), TRUTH, MASK) != pytest.approx(best, abs=0.1)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="empty"):
        m.nrmse(X, TRUTH, np.zeros(SHAPE))
