"""Is a phantom like scanned papyrus? Its statistics within limits that real fragments set.

Shapes: Z Y X. Grey levels of uint16.
"""

import numpy as np
from scipy import ndimage

from famulus.tasks.scroll.papyrus import Phantom

ACF = {
    "x": (0.978, 0.933, 0.879, 0.779, 0.675, 0.487),
    "y": (0.955, 0.881, 0.818, 0.738, 0.656, 0.506),
    "z": (0.863, 0.614, 0.320),
}
LAGS = {"x": (1, 2, 3, 5, 8, 16), "y": (1, 2, 3, 5, 8, 16), "z": (1, 2, 3)}
AIR_ACF = {"x": (0.86, 0.57, 0.31), "y": (0.75, 0.49, 0.35), "z": (0.87, 0.63, 0.39)}
AXES = {"z": 0, "y": 1, "x": 2}
CLEAR = 2  # voxels to papyrus from which on air is nothing but air
FIBRE_SHARE = 0.6  # of a plane that is papyrus, for its spectrum
WAVES = (0.02, 0.25)  # cycles a voxel: fibres, not slow waves of grey level nor noise
FIBRES = (1.5, 4.5)  # published: 2.9 and 2.0
PROBE = 0.65  # above it a column alone would do
PROBE_BLOCK = 32  # side of the squares that the probe learns on and is judged on in turn


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
    wanted = phantom.design.prevalence
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
    for name, curve in ACF.items():
        for lag, want in zip(LAGS[name], curve, strict=True):
            got = autocorrelation(volume, papyrus, AXES[name], lag)
            # a fragment has few independent patches at long lags, and few planes in depth
            wide = 0.1 + (lag / 30 if name == "z" else lag / 160)
            report[f"acf {name} {lag}"] = (got, want - wide, want + wide)
    clear = clear_of(papyrus) & phantom.mask_YX
    if clear.any():
        for name, curve in AIR_ACF.items():
            for lag, want in enumerate(curve, 1):
                got = autocorrelation(volume, clear, AXES[name], lag)
                report[f"air acf {name} {lag}"] = (got, want - 0.1, want + 0.1)
    along_x, along_y, between = anisotropy(volume, papyrus)
    report["fibres, power across x"] = (along_x, *FIBRES)
    report["fibres, power across y"] = (along_y, *FIBRES)
    report["fibres, power between"] = (between, 0.4, 0.8)
    report["column probe auc"] = (column_probe(phantom), 0.0, PROBE)
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
    return np.array([auc(plane[inside], target) for plane in phantom.volume_ZYX])


def auc(values: np.ndarray, target: np.ndarray) -> float:
    """Mann and Whitney: chance that a marked value is the greater one, ties counting half."""
    n1, n0 = int(target.sum()), int((~target).sum())
    return float((_mean_ranks(values)[target].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    """1-based ranks, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return (last - (counts - 1) / 2)[inverse]


def clear_of(papyrus: np.ndarray) -> np.ndarray:
    """Voxels farther than `CLEAR` from papyrus along every axis: the scanner's noise alone."""
    near = ndimage.maximum_filter(papyrus.astype(np.uint8), 2 * CLEAR + 1, mode="nearest")
    return near == 0


def anisotropy(volume: np.ndarray, papyrus: np.ndarray) -> tuple[float, float, float]:
    """Power within 5 degrees of the frequency axes x and y and at 20 to 70 degrees, over the mean.

    Rings of one frequency count alike, so that a steep spectrum does not decide; planes that are
    papyrus by `FIBRE_SHARE`, under a Hann window, within `WAVES`.
    """
    _, tall, wide = volume.shape
    power = np.zeros((tall, wide))
    for plane, where in zip(volume, papyrus, strict=True):
        if where.mean() >= FIBRE_SHARE:
            inside = np.where(where, plane - plane[where].mean(), 0)
            shown = inside * np.hanning(tall)[:, None] * np.hanning(wide)
            power += np.abs(np.fft.fft2(shown)) ** 2
    y, x = np.meshgrid(np.fft.fftfreq(tall), np.fft.fftfreq(wide), indexing="ij")
    frequency, angle = np.hypot(y, x), np.degrees(np.arctan2(np.abs(y), np.abs(x)))
    used = (frequency > WAVES[0]) & (frequency < WAVES[1])
    ring = np.round(frequency * min(tall, wide)).astype(int)
    count = np.bincount(ring[used])
    mean = np.bincount(ring[used], power[used]) / np.maximum(count, 1)
    relative = power[used] / np.maximum(mean[ring[used]], 1e-300)
    angle = angle[used]
    parts = angle < 5, angle > 85, (angle > 20) & (angle < 70)
    return tuple(float(relative[part].mean()) for part in parts)  # type: ignore[return-value]


def column_probe(phantom: Phantom) -> float:
    """AUC of a linear probe (Fisher's discriminant) on the grey levels of single columns.

    Learned on the squares of one colour of a chess board, judged on the other, both ways.
    """
    inside = phantom.mask_YX
    columns = phantom.volume_ZYX[:, inside].T.astype(np.float64)
    columns = (columns - columns.mean(0)) / np.maximum(columns.std(0), 1e-9)
    target = phantom.truth_YX[inside] > 0
    square = (np.indices(inside.shape) // PROBE_BLOCK).sum(0)[inside] % 2
    found = []
    for side in (0, 1):
        learn, judge = square == side, square != side
        ink, bare = columns[learn & target], columns[learn & ~target]
        within = (np.cov(ink.T) * len(ink) + np.cov(bare.T) * len(bare)) / learn.sum()
        ridge = 1e-3 * np.eye(len(within))
        weights = np.linalg.solve(within + ridge, ink.mean(0) - bare.mean(0))
        found.append(auc(columns[judge] @ weights, target[judge]))
    return float(np.mean(found))
