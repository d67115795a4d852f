"""Susceptibility maps with known truth: random shapes, and a brain whose values are drawn anew.

Shapes: Z Y X voxels. Units: ppm, mm, Hz, tesla, ms. Everything follows from a seed.
Source: the shapes are those of journals that train on generated solids; values of tissue as in
`labels.tsv` of the atlas, varied; R2* rises with |chi| as in Marques et al. 2021,
doi:10.1002/mrm.28716.
"""

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from famulus.config.errors import DataError
from famulus.feed.data_folder import require
from famulus.feed.streams import stream_seed
from famulus.tasks.qsm.dipole import (
    Geometry,
    Sizes,
    apply_kernel,
    cropped,
    dipole_kernel,
    fast_sizes,
    padded,
)
from famulus.tasks.qsm.phase import gradient_echo, weights, wrap
from famulus.units import rad_from_ppm
from famulus.volumes import nifti

KINDS = ("sphere", "cylinder", "cuboid", "ellipsoid")
TISSUE_HZ, IRON_HZ_PER_PPM = 18.0, 150.0  # R2* of tissue at 3 T, and what |chi| adds


@dataclass(frozen=True)
class Truth:
    """A map and all that is known of it. chi has mean 0 in the mask and is 0 outside."""

    chi_ppm: np.ndarray  # float32 ZYX, as are the others
    field_ppm: np.ndarray
    mask: np.ndarray  # 0 or 1
    magnitude: np.ndarray  # without decay, mean 1 in the mask
    r2star_hz: np.ndarray
    labels: np.ndarray | None = None  # uint8
    voxel_mm: float = 1.0

    @property
    def geometry(self) -> Geometry:
        return Geometry.aligned((self.voxel_mm,) * 3)


def shape_inside(kind: str, points_3P: np.ndarray, half_3: np.ndarray) -> np.ndarray:
    """Share of each voxel inside a solid of half axes `half` voxels, by its distance: 0..1."""
    q = np.abs(points_3P)
    if kind == "cuboid":
        outside = (q - half_3[:, None]).max(0)
    elif kind == "cylinder":
        across = np.hypot(q[1], q[2]) - half_3[1]
        outside = np.maximum(across, q[0] - half_3[0])
    else:
        axes = np.full(3, half_3[0]) if kind == "sphere" else half_3
        scaled = np.sqrt(((q / axes[:, None]) ** 2).sum(0))
        outside = (scaled - 1) * axes.min()
    return np.clip(0.5 - outside, 0, 1)


def draw_shapes(sizes: Sizes, seed: int, count: tuple[int, int] = (6, 20)) -> np.ndarray:
    """chi_ZYX ppm: solids of values N(0, 0.05 ppm), turned at random, later ones on top."""
    random = np.random.default_rng(seed)
    chi = np.zeros(sizes, np.float32)
    side = min(sizes)
    for _ in range(random.integers(*count, endpoint=True)):
        kind = KINDS[random.integers(len(KINDS))]
        half = side * random.uniform(0.04, 0.22, 3)
        centre = np.array(sizes) * random.uniform(0.15, 0.85, 3)
        turn = Rotation.random(rng=random).as_matrix()
        value = random.normal(0, 0.05)
        reach = np.linalg.norm(half) + 1
        low = np.maximum(np.floor(centre - reach), 0).astype(int)
        high = np.minimum(np.ceil(centre + reach), sizes).astype(int)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        axes = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"))
        points = turn @ (grid.reshape(3, -1) - centre[:, None])
        inside = shape_inside(kind, points, half).reshape(grid.shape[1:])
        # blended: a border voxel holds its share of both, as in a scan
        chi[box] += (inside * (value - chi[box])).astype(np.float32)
    return chi


def shapes(sizes: Sizes, seed: int, voxel_mm: float = 1.0) -> Truth:
    """Solids in a full box; magnitude 1 but for a smooth slope, and all of it mask."""
    chi = draw_shapes(sizes, seed)
    # a stream of its own: another number of solids must not change the slope
    random = np.random.default_rng(stream_seed(seed, 1))
    slope = random.normal(0, 0.3, 3)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in sizes], indexing="ij")
    magnitude = np.exp(sum(s * a for s, a in zip(slope, axes, strict=True)) / 2)
    return truth_of(chi, np.ones_like(chi), magnitude / magnitude.mean(), None, voxel_mm)


@dataclass(frozen=True)
class Atlas:
    labels: np.ndarray  # uint8 ZYX
    mask: np.ndarray  # uint8
    t1: np.ndarray  # float32 0..1
    values_ppm: np.ndarray  # of each label
    t1_of_labels: np.ndarray  # the mean of T1 in each label
    names: tuple[str, ...]


@lru_cache(maxsize=1)
def open_atlas(folder: Path) -> Atlas:
    """Of 1 mm. Raises DataError."""
    labels = nifti.read(require(folder / "labels.nii.gz", "brain-atlas"), "labels")
    mask = nifti.read(folder / "mask.nii.gz", "mask")
    t1 = nifti.read(folder / "T1.nii.gz", "T1")
    for other in (mask, t1):
        nifti.same_grid(labels, other, "brain-atlas")
    with open(folder / "labels.tsv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    values, names = np.zeros(256), [""] * 256
    try:
        for row in rows:
            label = int(row["label"])
            values[label], names[label] = float(row["chi_ppm"]), row["name"]
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(f"{folder / 'labels.tsv'}: {error!r}") from None
    of_voxels = labels.values.astype(np.uint8)
    bright = t1.values / max(float(t1.values.max()), 1e-30)
    count = np.maximum(np.bincount(of_voxels.ravel(), minlength=256), 1)
    t1_of = np.bincount(of_voxels.ravel(), bright.ravel(), 256) / count
    inside = (mask.values > 0).astype(np.uint8)
    return Atlas(of_voxels, inside, bright, values, t1_of, tuple(names))


def brain(folder: Path, seed: int, voxel_mm: int = 2) -> Truth:
    """The atlas with the values of its labels and its texture drawn anew; left and right may swap.

    At `voxel_mm` 2 and 3 the voxels of 1 mm are averaged, so that borders are soft as in a scan.
    """
    atlas = open_atlas(folder)
    random = np.random.default_rng(seed)
    n = len(atlas.values_ppm)
    values = atlas.values_ppm * random.lognormal(0, 0.3, n) + random.normal(0, 0.008, n)
    chi = values[atlas.labels]
    # about each label's own mean: texture must not move the values of tissue
    chi += random.normal(0, 0.06) * (atlas.t1 - atlas.t1_of_labels[atlas.labels])
    mask, labels = atlas.mask.astype(np.float32), atlas.labels
    t1 = atlas.t1
    # drawn last, after all values: they must not depend on the turn
    if random.random() < 0.5:
        chi, mask, labels, t1 = (a[:, :, ::-1] for a in (chi, mask, labels, t1))
    if voxel_mm > 1:
        labels = _corner(labels, voxel_mm)[tuple([slice(voxel_mm // 2, None, voxel_mm)] * 3)]
        chi, mask, t1 = (_pooled(a, voxel_mm) for a in (chi * mask, mask, t1))
        # by the share of the mask: what lies outside is no tissue of 0 ppm
        chi = chi / np.maximum(mask, 1e-6)
        mask = (mask >= 0.5).astype(np.float32)
    magnitude = (0.6 + 0.8 * (1 - t1)) * mask
    magnitude = magnitude / magnitude[mask > 0].mean()
    return truth_of(chi, mask, magnitude, labels, float(voxel_mm))


def _corner(a: np.ndarray, k: int) -> np.ndarray:
    z, y, x = (n // k * k for n in a.shape)
    return a[:z, :y, :x]


def _pooled(a: np.ndarray, k: int) -> np.ndarray:
    a = _corner(a, k)
    z, y, x = (n // k for n in a.shape)
    return a.reshape(z, k, y, k, x, k).mean((1, 3, 5))


def truth_of(
    chi: np.ndarray,
    mask: np.ndarray,
    magnitude: np.ndarray,
    labels: np.ndarray | None,
    voxel_mm: float,
    offset_ppm: float = 0.0,
) -> Truth:
    """The map with mean 0 in the mask, 0 outside, and its field. `offset_ppm`: what all of the mask
    has against its surroundings; the field knows it, the map does not."""
    mask = np.ascontiguousarray(mask, np.float32)
    # the truth too: no inversion can know the mean
    chi = np.where(mask > 0, chi - chi[mask > 0].mean(), 0).astype(np.float32)
    r2star = ((TISSUE_HZ + IRON_HZ_PER_PPM * np.abs(chi)) * mask).astype(np.float32)
    sizes, kernel = _field_kernel(chi.shape, voxel_mm)
    source = chi + np.float32(offset_ppm) * mask if offset_ppm else chi
    whole = apply_kernel(padded(torch.from_numpy(source)[None], sizes), kernel)
    field = cropped(whole, chi.shape)[0].numpy()
    labels = None if labels is None else np.ascontiguousarray(labels)
    field = np.ascontiguousarray(field)
    return Truth(chi, field, mask, magnitude.astype(np.float32), r2star, labels, voxel_mm)


@lru_cache(maxsize=8)  # of many maps of few sizes
def _field_kernel(shape: Sizes, voxel_mm: float) -> tuple[Sizes, torch.Tensor]:
    """What `dipole_field` uses, once for all maps."""
    sizes = fast_sizes(shape, 2.0)
    return sizes, dipole_kernel(sizes, Geometry.aligned((voxel_mm,) * 3), "image")


@dataclass(frozen=True)
class Scan:
    """How an echo is simulated. `snr` is the mean magnitude at TE = 0 over the noise's deviation
    in the real and in the imaginary part; null: no noise."""

    b0_t: float = 3.0
    te_ms: float = 25.0
    snr: float | None = 50.0

    @property
    def rad_per_ppm(self) -> float:
        return rad_from_ppm(1.0, self.b0_t, self.te_ms)


def scan(truth: Truth, how: Scan, seed: int) -> dict[str, np.ndarray]:
    """`phase` rad wrapped, `phase_whole` rad not wrapped, `weight` 0..1, float32 ZYX, 0 outside.

    Noise is independent of the map: seed and nothing else.
    """
    field, magnitude = torch.from_numpy(truth.field_ppm), torch.from_numpy(truth.magnitude)
    mask = torch.from_numpy(truth.mask)
    noise = None
    if how.snr is not None:
        random = np.random.default_rng(seed)
        pair = random.standard_normal((2, *truth.mask.shape), np.float32) / how.snr
        noise = torch.complex(*torch.from_numpy(pair))
    signal = gradient_echo(
        field, magnitude, how.b0_t, how.te_ms, torch.from_numpy(truth.r2star_hz), noise
    )
    phase = signal.angle()
    clean = how.rad_per_ppm * field
    # Unwrapped by the truth: noise adds less than half a turn.
    whole = clean + wrap(phase - clean)
    weight = weights(signal.abs()[None], mask[None])[0]
    named = {"phase": phase * mask, "phase_whole": whole * mask, "weight": weight}
    return {name: value.numpy() for name, value in named.items()}
