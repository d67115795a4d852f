"""Papyrus before it is written on: the parts that the phantom is made of, and the scanner's noise.

Shapes: Z Y X, z grows into the sheet. Units: voxels; grey levels of uint16.
Calibration: see `tasks.scroll.papyrus`.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

Sizes = tuple[int, int, int]
THICKNESS = 31  # voxels of a sheet: 100 um at 3.24 um
AIR, AIR_SD = 25_700.0, 2_160.0  # air is grey, not 0
MEDIAN, BELOW, ABOVE = 47_200.0, 11_500.0, 6_300.0  # papyrus: grey per sd on either side
# (sd along the fibre, sd across, share of the variance): fits the published autocorrelation
TEXTURE = ((4, 1.6, 0.19), (16, 1.6, 0.13), (10, 6, 0.26), (16, 16, 0.13), (36, 36, 0.29))
TEXTURE_Z = 1.35


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


def surface(shape: Sizes, rng: np.random.Generator) -> np.ndarray:
    """Depth of the sheet's upper face: a third in, +-6 at most, tilted, with fibre relief."""
    deep, tall, wide = shape
    # shallow volumes can't tilt as far: the face must stay inside
    swing = min(6.0, deep / 6)
    slow = swing / 2.5 * smooth_noise((tall, wide), (36, 36), rng)
    y, x = np.mgrid[-1 : 1 : tall * 1j, -1 : 1 : wide * 1j]
    tilt = swing / 3 * (rng.uniform(-1, 1) * y + rng.uniform(-1, 1) * x)
    relief = 0.7 * smooth_noise((tall, wide), (2, 14), rng)
    return (deep * 0.33 + np.clip(slow + tilt, -swing, swing) + relief).astype(np.float32)


def texture(shape: Sizes, rng: np.random.Generator) -> np.ndarray:
    """Fibres in sheet coordinates, sd 1, float32: layers of half a sheet along x, y, x, ..."""
    deep, tall, wide = shape
    fibres = np.empty(shape, np.float32)
    half = THICKNESS // 2
    for layer, begin in enumerate(range(0, deep, half)):
        end = min(begin + half, deep)
        block = np.zeros((end - begin, tall, wide), np.float32)
        for along, across, share in TEXTURE:
            sds = (across, along) if layer % 2 == 0 else (along, across)
            block += np.sqrt(share) * smooth_noise(block.shape, (TEXTURE_Z, *sds), rng)
        line = bundles(wide if layer % 2 else tall, rng)
        block += 0.8 * (line[None, None, :] if layer % 2 else line[None, :, None])
        fibres[begin:end] = block
    return fibres


def bundles(length: int, rng: np.random.Generator) -> np.ndarray:
    """Double lines of vascular bundles, one every 100 to 200 voxels, by a Poisson process."""
    line, at = np.zeros(length, np.float32), rng.exponential(150)
    while at < length:
        for offset in (-3.0, 3.0):
            line += np.exp(-0.5 * ((np.arange(length) - at - offset) / 1.2) ** 2)
        at += 60 + rng.exponential(90)
    return line


def mask(tall: int, wide: int, rng: np.random.Generator) -> np.ndarray:
    """A ragged edge and torn holes: bool YX."""
    y, x = np.mgrid[:tall, :wide]
    edge = np.minimum(np.minimum(y, tall - 1 - y), np.minimum(x, wide - 1 - x))
    reach = min(tall, wide) / 32
    ragged = edge > reach * (1 + smooth_noise((tall, wide), (8, 8), rng)).clip(0)
    # 2.9 sd: about two pixels in a thousand
    return ragged & (smooth_noise((tall, wide), (10, 10), rng) < 2.9)


def occupancy(depth_YX: np.ndarray, gap_YX: np.ndarray) -> np.ndarray:
    """Share of papyrus in a voxel at `depth` below the face: sheet, gap, second sheet."""
    first = np.clip(depth_YX + 0.5, 0, 1) - np.clip(depth_YX - THICKNESS + 0.5, 0, 1)
    second = np.clip(depth_YX - THICKNESS - gap_YX + 0.5, 0, 1)
    return np.clip(first + second, 0, 1)


def sheet_planes(texture: np.ndarray, top: np.ndarray, gap: np.ndarray, deep: int) -> np.ndarray:
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
        share = occupancy(depth, gap)
        planes[z] = AIR + share * (np.maximum(grey, AIR * 0.6) - AIR)
    return planes


def cracks(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Mud cracks: cells of about 7 voxels, bright islands and dark seams, mean 0, sd 1."""
    tall, wide = shape
    # one cell in 7 x 7 pixels; a few at least, as a seam lies between two
    cells = rng.uniform((0, 0), shape, (max(4, tall * wide // 49), 2))
    places = np.stack(np.mgrid[:tall, :wide], -1).reshape(-1, 2)
    # the two nearest cells: equal distance is where a crack runs
    near = cKDTree(cells).query(places, 2)[0].astype(np.float32)
    seam = np.clip((near[:, 1] - near[:, 0]) / 2.5, 0, 1).reshape(shape)
    return (seam - seam.mean()) / seam.std()


def scanner_noise(shape: Sizes, rng: np.random.Generator) -> np.ndarray:
    """Correlated as published air: lags 1, 2, 3 about .87 .6 .35 in z and x, .75 .45 in y."""
    fine = smooth_noise(shape, (1.35, 0.8, 1.35), rng)
    return np.sqrt(0.6) * fine + np.sqrt(0.4) * smooth_noise(shape, (1.35, 2.4, 1.35), rng)
