"""How close a susceptibility map is to the truth.

Shapes: Z Y X voxels, one volume at a time. Units: ppm; NRMSE, dNRMSE and HFEN in per cent.
Source: definitions of the 2016 and 2019 QSM challenges (doi:10.1002/mrm.26830, 10.1002/mrm.28754);
XSIM: Milovic et al. 2024, doi:10.1002/mrm.30271.
"""

import numpy as np
from scipy.ndimage import convolve1d, gaussian_laplace, uniform_filter

HFEN_SIGMA, HFEN_TRUNCATE = 1.5, 5.0


def _pair(x: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inside = np.asarray(mask) > 0
    if not inside.any():
        raise ValueError("expected a mask with voxels in it, received an empty one")
    return np.asarray(x, np.float64)[inside], np.asarray(truth, np.float64)[inside]


def nrmse(x: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """100 |x - y| / |y| over the mask, both without their means there."""
    a, b = _pair(x, truth, mask)
    # a phase does not tell the mean of a map
    a, b = a - a.mean(), b - b.mean()
    return float(100 * np.linalg.norm(a - b) / np.linalg.norm(b))


def detrended_nrmse(x: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """NRMSE of (x - c)/s, where x = s y + c is the line through all voxels.

    Noise makes s smaller than 1, so that this may well be above the plain NRMSE.
    """
    a, b = _pair(x, truth, mask)
    slope, offset = np.polyfit(b, a, 1)
    a, b = (a - offset) / slope, b - 0.0
    b_mean = b.mean()
    return float(100 * np.linalg.norm(a - b) / np.linalg.norm(b - b_mean))


def hfen(x: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """100 |L x - L y| / |L y| over the mask; L: Laplacian of a Gaussian of 1.5 voxels."""
    a, b = (
        gaussian_laplace(np.asarray(v, np.float64), HFEN_SIGMA, truncate=HFEN_TRUNCATE)
        for v in (x, truth)
    )
    a, b = _pair(a, b, mask)
    return float(100 * np.linalg.norm(a - b) / np.linalg.norm(b))


def _similarity(x, truth, mask, mean, c1: float, c2: float) -> float:
    """Mean over the mask of Wang's index with local moments by `mean`."""
    x, y = np.asarray(x, np.float64), np.asarray(truth, np.float64)
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    index = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(index[np.asarray(mask) > 0].mean())


def _box(v: np.ndarray) -> np.ndarray:
    """Mean over 5x5x5 voxels, over fewer at the border."""
    # by what is there: zeros beyond the border are no voxels
    return uniform_filter(v, 5, mode="constant") / uniform_filter(
        np.ones_like(v), 5, mode="constant"
    )


def _gauss(v: np.ndarray) -> np.ndarray:
    """Gaussian of 1.5 voxels in 7x7x7, zeros behind the border."""
    w = np.exp(-0.5 * (np.arange(-3, 4) / 1.5) ** 2)
    for axis in range(3):
        v = convolve1d(v, w / w.sum(), axis, mode="constant")
    return v


def xsim_uniform(x: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """XSIM with the uniform 5x5x5 window: c1 = 1e-4, c2 = 1e-6 ppm^2 (window A)."""
    return _similarity(x, truth, mask, _box, 1e-4, 1e-6)


def xsim_gaussian(x: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """XSIM with the Gaussian 7x7x7 window: c1 = 1e-4, c2 = 1e-6 ppm^2 (window B)."""
    return _similarity(x, truth, mask, _gauss, 1e-4, 1e-6)


def ssim(x: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """SSIM with the Gaussian window, K = (0.01, 0.03); L: range of the truth in the mask."""
    _, b = _pair(x, truth, mask)
    span = max(float(np.ptp(b)), 1e-30)
    return _similarity(x, truth, mask, _gauss, (0.01 * span) ** 2, (0.03 * span) ** 2)


def region_slope(
    x: np.ndarray, truth: np.ndarray, labels: np.ndarray, regions: tuple[int, ...]
) -> float:
    """Slope of the line through the means of the regions, x over truth: 1 is right.

    NaN with fewer than two regions there.
    """
    # a crop may lack some
    there = [r for r in regions if (labels == r).any()]
    if len(there) < 2:
        return float("nan")
    a, b = ([float(np.mean(v[labels == r])) for r in there] for v in (x, truth))
    return float(np.polyfit(b, a, 1)[0])


SCORES = {
    "nrmse": nrmse,
    "detrended_nrmse": detrended_nrmse,
    "hfen": hfen,
    "xsim_uniform": xsim_uniform,
    "xsim_gaussian": xsim_gaussian,
    "ssim": ssim,
}
