"""A phantom of inked papyrus in a CT surface volume, with exact truth in three dimensions.

Two sheets of two crossed fibre layers, seen along an imperfect surface, with ink strokes whose cue
is a knob: `density` (grey level), `relief` (a raised, smoothed surface) and `crackle` (mud cracks).
Labels are made as people make them: shifted, with strokes missing and strokes too many.

Shapes: Z Y X, z grows into the sheet. Units: voxels; grey levels of uint16.
Calibration: statistics (grey levels, autocorrelation) of scanned papyrus as published in
giorgioangel/vesuvius-3dstreamer; per-voxel AUC by depth of real fragments as published in
khj1222/vesuvius-challenge (max .546, off-centre, falling below .5 in depth). No scan is contained.
"""

from dataclasses import asdict, dataclass

import numpy as np
from scipy import ndimage

from famulus.config.errors import ConfigError
from famulus.data.bricks import Flat, deep_last
from famulus.data.letters import text_lines
from famulus.data.streams import stream_seed
from famulus.data.volumes import Fragment

Sizes = tuple[int, int, int]
THICKNESS = 31  # voxels of a sheet: 100 um at 3.24 um
AIR, AIR_SD = 25_700.0, 2_160.0  # air is grey, not 0
MEDIAN, BELOW, ABOVE = 47_200.0, 11_500.0, 6_300.0  # papyrus: grey per sd on either side
PAPYRUS_MEAN, PAPYRUS_SD = 45_800.0, 8_850.0
# (sd along the fibre, sd across, share of the variance): fits the published autocorrelation
TEXTURE = ((4, 1.6, 0.19), (16, 1.6, 0.13), (10, 6, 0.26), (16, 16, 0.13), (36, 36, 0.29))
TEXTURE_Z = 1.35
LAYOUTS = 64  # letter layouts tried for the one that chance favours least
INK_ADDS = 0.045  # to the per-voxel AUC near the face, at the default cue
ACF = {
    "x": (0.978, 0.933, 0.879, 0.779, 0.675, 0.487),
    "y": (0.955, 0.881, 0.818, 0.738, 0.656, 0.506),
}
LAGS = (1, 2, 3, 5, 8, 16)
MAX_VOXELS = 1 << 31


@dataclass(frozen=True)
class Recipe:
    """What is drawn. The same recipe gives the same voxels."""

    shape: Sizes = (32, 384, 384)
    seed: int = 0
    prevalence: float = 0.12  # share of the mask that is inked
    letter: int = 96  # height of a letter
    strength: float = 1.0  # factor on the three cues; 0 leaves no trace of the ink
    density: float = 0.1  # of ink above papyrus, in sd of papyrus
    relief: float = 0.4  # voxels by which ink raises the surface; it fills valleys as much
    crackle: float = 1.0  # of mud cracks, in sd of papyrus


@dataclass(frozen=True)
class Phantom:
    """Voxels and everything that is true of them."""

    recipe: Recipe
    volume_ZYX: np.ndarray  # uint16
    papyrus_ZYX: np.ndarray  # bool
    ink_ZYX: np.ndarray  # bool
    truth_YX: np.ndarray  # uint8: inked or not
    labels_YX: np.ndarray  # uint8: as a person would have drawn them
    mask_YX: np.ndarray  # bool: where there is papyrus

    def fragment(self) -> Fragment:
        name = f"papyrus, seed {self.recipe.seed}"
        fingerprint = f"papyrus-1-{asdict(self.recipe)}"
        flat = Flat(deep_last(self.volume_ZYX), fingerprint)
        return Fragment(name, flat, self.mask_YX, self.labels_YX, self.truth_YX)


def make(recipe: Recipe) -> Phantom:
    """Draws the phantom: 2 s for 32 x 384 x 384. Raises ConfigError for a bad recipe."""
    _check(recipe)
    deep, tall, wide = recipe.shape
    rng = np.random.default_rng(stream_seed(recipe.seed, 0x504150))
    top = _surface(recipe.shape, rng)
    gap = np.clip(smooth_noise((tall, wide), (40, 40), rng) * 5 + 2, 0, None)
    texture = _texture((deep + 16, tall, wide), rng)
    mask = _mask(tall, wide, rng)
    bare = _sheet_planes(texture, top, gap, deep)
    del texture
    truth, labels = _layout(recipe, mask, bare, rng)
    inked = ndimage.gaussian_filter(truth.astype(np.float32), 0.7)
    volume, papyrus, ink = _ink(recipe, bare, inked, truth, top, gap, rng)
    volume = ndimage.gaussian_filter(volume, 0.5, output=np.float32)  # the scanner's point spread
    volume += AIR_SD * 0.9 * _scanner_noise(recipe.shape, rng)
    volume += AIR_SD * 0.15 * rng.standard_normal((1, tall, 1), np.float32)  # stripes
    volume[:, ~mask] = AIR
    papyrus &= mask
    grey = volume[papyrus]
    gain = PAPYRUS_SD / grey.std()
    scaled = np.where(papyrus, (volume - grey.mean()) * gain + PAPYRUS_MEAN, volume)
    return Phantom(
        recipe,
        np.clip(scaled, 0, 65_535).round().astype(np.uint16),
        papyrus,
        ink & mask,
        truth,
        labels,
        mask,
    )


def smooth_noise(
    shape: tuple[int, ...], sds: tuple[float, ...], rng: np.random.Generator
) -> np.ndarray:
    """Gaussian noise of mean 0 and sd 1, float32, autocorrelation exp(-d^2 / 4 sd^2) by axis.

    Long correlations are drawn on a coarser grid and interpolated linearly, axis by axis.
    """
    steps = [max(1, int(sd / 2.5)) for sd in sds]
    coarse = [n if f == 1 else -(-n // f) + 2 for n, f in zip(shape, steps, strict=True)]
    field = rng.standard_normal(coarse, np.float32)
    for axis, (sd, f) in enumerate(zip(sds, steps, strict=True)):
        if sd > 0:
            field = ndimage.gaussian_filter1d(field, sd / f, axis, mode="wrap", truncate=3.5)
    # analytically: white noise filtered by sd s has variance 1 / (2 s sqrt(pi)) an axis
    field /= field.std()
    for axis, (n, f) in enumerate(zip(shape, steps, strict=True)):
        if f > 1:
            at = np.arange(n) / f
            low = at.astype(int)
            part = (at - low).astype(np.float32)
            part = part.reshape([-1 if a == axis else 1 for a in range(len(shape))])
            first, second = np.take(field, low, axis), np.take(field, low + 1, axis)
            field = first + part * (second - first)
    return field


def _check(recipe: Recipe) -> None:
    if min(recipe.shape) < 8 or np.prod(recipe.shape, dtype=np.int64) > MAX_VOXELS:
        raise ConfigError(
            f"phantom: expected at least 8 voxels a side and {MAX_VOXELS} in all, "
            f"received {recipe.shape}"
        )
    if not 0.01 <= recipe.prevalence <= 0.6:
        raise ConfigError(
            f"phantom: prevalence: expected 0.01 to 0.6, received {recipe.prevalence}"
        )


def _surface(shape: Sizes, rng: np.random.Generator) -> np.ndarray:
    """Depth of the sheet's upper face: a third in, +-6 at most, tilted, with fibre relief."""
    deep, tall, wide = shape
    swing = min(6.0, deep / 6)
    slow = swing / 2.5 * smooth_noise((tall, wide), (36, 36), rng)
    y, x = np.mgrid[-1 : 1 : tall * 1j, -1 : 1 : wide * 1j]
    tilt = swing / 3 * (rng.uniform(-1, 1) * y + rng.uniform(-1, 1) * x)
    relief = 0.7 * smooth_noise((tall, wide), (2, 14), rng)
    return (deep * 0.33 + np.clip(slow + tilt, -swing, swing) + relief).astype(np.float32)


def _texture(shape: Sizes, rng: np.random.Generator) -> np.ndarray:
    """Fibres in sheet coordinates, sd 1, float32: layers of half a sheet along x, y, x, ..."""
    deep, tall, wide = shape
    texture = np.empty(shape, np.float32)
    half = THICKNESS // 2
    for layer, begin in enumerate(range(0, deep, half)):
        end = min(begin + half, deep)
        block = np.zeros((end - begin, tall, wide), np.float32)
        for along, across, share in TEXTURE:
            sds = (across, along) if layer % 2 == 0 else (along, across)
            block += np.sqrt(share) * smooth_noise(block.shape, (TEXTURE_Z, *sds), rng)
        line = _bundles(wide if layer % 2 else tall, rng)
        block += 0.8 * (line[None, None, :] if layer % 2 else line[None, :, None])
        texture[begin:end] = block
    return texture


def _bundles(length: int, rng: np.random.Generator) -> np.ndarray:
    """Double lines of vascular bundles, one every 100 to 200 voxels, by a Poisson process."""
    line, at = np.zeros(length, np.float32), rng.exponential(150)
    while at < length:
        for offset in (-3.0, 3.0):
            line += np.exp(-0.5 * ((np.arange(length) - at - offset) / 1.2) ** 2)
        at += 60 + rng.exponential(90)
    return line


def _mask(tall: int, wide: int, rng: np.random.Generator) -> np.ndarray:
    """A ragged edge and torn holes: bool YX."""
    y, x = np.mgrid[:tall, :wide]
    edge = np.minimum(np.minimum(y, tall - 1 - y), np.minimum(x, wide - 1 - x))
    reach = min(tall, wide) / 32
    ragged = edge > reach * (1 + smooth_noise((tall, wide), (8, 8), rng)).clip(0)
    return ragged & (smooth_noise((tall, wide), (10, 10), rng) < 2.9)


def _occupancy(depth_YX: np.ndarray, gap_YX: np.ndarray) -> np.ndarray:
    """Share of papyrus in a voxel at `depth` below the face: sheet, gap, second sheet."""
    first = np.clip(depth_YX + 0.5, 0, 1) - np.clip(depth_YX - THICKNESS + 0.5, 0, 1)
    second = np.clip(depth_YX - THICKNESS - gap_YX + 0.5, 0, 1)
    return np.clip(first + second, 0, 1)


def _sheet_planes(texture: np.ndarray, top: np.ndarray, gap: np.ndarray, deep: int) -> np.ndarray:
    """Grey levels without ink, float32 ZYX: the texture pulled along the surface."""
    planes = np.empty((deep, *top.shape), np.float32)
    rows, columns = np.ogrid[: top.shape[0], : top.shape[1]]
    for z in range(deep):
        depth = z - top
        at = np.clip(depth + 8, 0, len(texture) - 2)  # relief and blur need some above the face
        low = at.astype(int)
        part = at - low
        fibre = texture[low, rows, columns] * (1 - part) + texture[low + 1, rows, columns] * part
        grey = MEDIAN + np.where(fibre < 0, BELOW, ABOVE) * fibre
        share = _occupancy(depth, gap)
        planes[z] = AIR + share * (np.maximum(grey, AIR * 0.6) - AIR)
    return planes


def _layout(
    recipe: Recipe, mask: np.ndarray, bare: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(truth, labels): of `LAYOUTS` texts the one that bare papyrus betrays least by chance.

    Slow waves of grey level and a few dozen strokes correlate by chance, more on a small fragment
    than on a real one. Choosing keeps the per-voxel AUC near .5, with room for what ink will add
    to the planes around the face.
    """
    step = max(1, min(bare.shape[1:]) // 96)
    ranks = [_ranks(plane[::step, ::step]) for plane in bare]
    near = np.abs(np.arange(len(bare)) - len(bare) * 0.33) <= 5
    best, found = np.inf, None
    for _ in range(LAYOUTS):
        truth, labels = text_lines(mask, recipe.prevalence, recipe.letter, rng)
        inked, inside = truth[::step, ::step] > 0, mask[::step, ::step]
        rest = inside & ~inked
        by_depth = np.array([rank[inked].mean() - rank[rest].mean() for rank in ranks])  # AUC - .5
        worst = max((by_depth + INK_ADDS * near).max(), -by_depth.min() - INK_ADDS / 2)
        if worst < best:
            best, found = worst, (truth, labels)
    return found  # type: ignore[return-value]


def _ranks(plane: np.ndarray) -> np.ndarray:
    """Ranks in 0..1: the difference of two groups' means is AUC - 1/2."""
    flat = plane.ravel()
    ranks = np.empty(flat.size, np.float32)
    ranks[flat.argsort(kind="stable")] = np.linspace(0, 1, flat.size, dtype=np.float32)
    return ranks.reshape(plane.shape)


def _ink(
    recipe: Recipe,
    bare: np.ndarray,
    inked: np.ndarray,
    truth: np.ndarray,
    top: np.ndarray,
    gap: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(grey levels, papyrus, ink): a coat of 1 to 3 voxels that fills valleys and cracks."""
    deep, s = len(bare), recipe.strength
    level = ndimage.gaussian_filter(top, 3)
    valley = np.clip(top - level, -1, 1)  # > 0 where the face lies deeper than around it
    coat = np.clip(2 + valley, 1, 3)
    raised = s * recipe.relief * inked * (1 + valley)
    cracks = _cracks(top.shape, rng)
    change = s * (recipe.density + recipe.crackle * cracks) * PAPYRUS_SD * inked
    volume, papyrus = bare.copy(), np.empty(bare.shape, bool)
    ink = np.empty(bare.shape, bool)
    for z in range(deep):
        depth = z - top + raised
        within = np.clip(depth + 0.5, 0, 1) - np.clip(depth - coat + 0.5, 0, 1)  # share of ink
        above = np.clip(np.clip(depth + 0.5, 0, 1) - np.clip(z - top + 0.5, 0, 1), 0, 1)
        volume[z] += above * (MEDIAN - AIR) + within * change
        papyrus[z] = _occupancy(z - top, gap) > 0.5
        ink[z] = (within > 0.5) & (truth > 0)
    return volume, papyrus | ink, ink


def _cracks(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Mud cracks: cells of about 7 voxels, bright islands and dark seams, mean 0, sd 1."""
    from scipy.spatial import cKDTree

    tall, wide = shape
    cells = rng.uniform((0, 0), shape, (max(4, tall * wide // 49), 2))
    places = np.stack(np.mgrid[:tall, :wide], -1).reshape(-1, 2)
    near = cKDTree(cells).query(places, 2)[0].astype(np.float32)
    seam = np.clip((near[:, 1] - near[:, 0]) / 2.5, 0, 1).reshape(shape)
    return (seam - seam.mean()) / seam.std()


def _scanner_noise(shape: Sizes, rng: np.random.Generator) -> np.ndarray:
    """Correlated as published air: lags 1, 2, 3 about .87 .6 .35 in z and x, .75 .45 in y."""
    fine = smooth_noise(shape, (1.35, 0.8, 1.35), rng)
    return np.sqrt(0.6) * fine + np.sqrt(0.4) * smooth_noise(shape, (1.35, 2.4, 1.35), rng)


# -- acceptance -----------------------------------------------------------------------------------


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
