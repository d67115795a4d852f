"""Is a phantom like scanned papyrus? Its statistics within limits that real fragments set.

Shapes: Z Y X. Grey levels of uint16.
"""

import numpy as np

from famulus.data.papyrus import Phantom

ACF = {
    "x": (0.978, 0.933, 0.879, 0.779, 0.675, 0.487),
    "y": (0.955, 0.881, 0.818, 0.738, 0.656, 0.506),
}
LAGS = (1, 2, 3, 5, 8, 16)


def acceptance(phantom: Phantom) -> dict[str, tuple[float, float, float]]:
    """(measured, least, most) by name; the phantom is acceptable if all lie between.

    With `strength` 0 the upper limit of the AUC is the same and the lower one does not apply.
    """
    volume, papyrus = phantom.volume_ZYX.astype(np.float32), phantom.papyrus_ZYX
    air = ~papyrus & phantom.mask_YX
    grey = volume[papyrus]
    by_depth = auc_by_depth(phantom)
    peak = int(by_depth.argmax())
    centre = abs(peak - (len(by_depth) - 1) / 2)
    prevalence = float(phantom.truth_YX[phantom.mask_YX].mean())
    wanted = phantom.recipe.prevalence
    report = {
        "papyrus mean": (float(grey.mean()), 45_000.0, 46_600.0),
        "papyrus sd": (float(grey.std()), 8_300.0, 9_400.0),
        "papyrus p1": (float(np.quantile(grey, 0.01)), 15_000.0, 26_000.0),
        "papyrus p99": (float(np.quantile(grey, 0.99)), 56_000.0, 64_500.0),
        "air mean": (float(volume[air].mean()), 24_000.0, 28_500.0),
        "prevalence": (prevalence, wanted - 0.03, wanted + 0.03),
        "auc max": (float(by_depth.max()), 0.5, 0.55),
        "auc peak off centre": (centre, 0.4, float(len(by_depth))),
    }
    for axis, name in ((2, "x"), (1, "y")):
        for lag, want in zip(LAGS, ACF[name], strict=True):
            got = autocorrelation(volume, papyrus, axis, lag)
            wide = 0.1 + lag / 160  # a fragment has few independent patches at long lags
            report[f"acf {name} {lag}"] = (got, want - wide, want + wide)
    return report


def accepted(report: dict[str, tuple[float, float, float]]) -> list[str]:
    """Names of what lies outside its limits: empty if acceptable."""
    return [name for name, (value, low, high) in report.items() if not low <= value <= high]


def autocorrelation(volume: np.ndarray, where: np.ndarray, axis: int, lag: int) -> float:
    """Correlation of voxels `lag` apart where both are in `where`."""
    n = volume.shape[axis]
    a, b = (np.take(volume, range(*r), axis) for r in ((0, n - lag), (lag, n)))
    both = np.take(where, range(0, n - lag), axis) & np.take(where, range(lag, n), axis)
    a, b = a[both].astype(np.float64), b[both].astype(np.float64)
    mean, variance = volume[where].mean(dtype=np.float64), volume[where].var(dtype=np.float64)
    return float(((a - mean) * (b - mean)).mean() / variance)


def auc_by_depth(phantom: Phantom) -> np.ndarray:
    """AUC of each plane's grey level against the truth, inside the mask: Z."""
    inside = phantom.mask_YX
    target = phantom.truth_YX[inside] > 0
    out = np.empty(len(phantom.volume_ZYX))
    for z, plane in enumerate(phantom.volume_ZYX):
        ranks = _mean_ranks(plane[inside])
        n1, n0 = target.sum(), (~target).sum()
        out[z] = (ranks[target].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)
    return out


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    """1-based ranks, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return (last - (counts - 1) / 2)[inverse]
