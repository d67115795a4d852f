"""Heads that differ as scans do: turned, stretched, warped, with texture and vessels of their own.

A box of `size` voxels of any side is cut from the atlas: the whole head at 2 and 3 mm, a part of it
at 1 mm and below, as if the head ended there. Everything follows from a seed.

Shapes: Z Y X voxels, P points, 3 is z, y, x. Units: ppm, mm.
"""

from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from famulus.tasks.qsm.dipole import Geometry, frequency
from famulus.tasks.qsm.phantoms import Atlas, Truth, draw_shapes, open_atlas, truth_of

SOLIDS = 4  # every so many-th map is of solids: what is learned must not be one anatomy
LEAST_TISSUE = 0.02  # of a box
WARP_MM, CELL_MM = (1.0, 5.0), 36.0  # how far a head is bent, and over which way
OFFSET_PPM = 0.01  # of all tissue against what surrounds it: a map is only known up to its mean


def varied(folder: Path, size: int, voxels_mm: tuple[float, ...], seed: int) -> Truth:
    """Map number `seed`: its voxels and whether it is a head follow from seed mod 4 len(voxels_mm).

    chi ppm in `size`^3 voxels.
    """
    place, random = seed % (SOLIDS * len(voxels_mm)), np.random.default_rng(seed)
    voxel_mm = voxels_mm[place % len(voxels_mm)]
    offset = random.normal(0, OFFSET_PPM)
    if place // len(voxels_mm) == SOLIDS - 1:
        chi = draw_shapes((size,) * 3, seed, (6, 40))
        return truth_of(chi, np.ones_like(chi), np.ones_like(chi), None, voxel_mm, offset)
    atlas = open_atlas(folder)
    chi, mask, t1, labels = _cut(atlas, _values(atlas, random), random, size, voxel_mm)
    while mask.mean() < LEAST_TISSUE:  # the box fell beside the head
        chi, mask, t1, labels = _cut(atlas, _values(atlas, random), random, size, voxel_mm)
    amplitude = random.lognormal(0.3, 0.4)  # heads of healthy people hold up to twice the atlas's
    chi = (
        chi + random.lognormal(np.log(0.006), 0.6) * _texture(random, size, voxel_mm)
    ) * amplitude
    for _ in range(random.integers(25)):
        _add_vessel(chi, random, voxel_mm)
    if random.random() < 0.5:
        chi = _blurred(chi * mask, random.uniform(0.3, 0.7))
    magnitude = (0.6 + 0.8 * (1 - t1)) * mask
    magnitude = magnitude / magnitude[mask > 0].mean()
    return truth_of(chi, mask, magnitude, labels, voxel_mm, offset)


def _values(atlas: Atlas, random: np.random.Generator) -> np.ndarray:
    """chi ZYX ppm at 1 mm: values of tissue and the texture of T1 drawn anew."""
    count = len(atlas.values_ppm)
    values = atlas.values_ppm * random.lognormal(0, 0.3, count) + random.normal(0, 0.008, count)
    # one table look-up: what a label adds, and what T1 takes from its own mean
    grain = random.normal(0, 0.06)
    table = (values - grain * atlas.t1_of_labels).astype(np.float32)
    return table[atlas.labels] + np.float32(grain) * atlas.t1.astype(np.float32)


def _cut(
    atlas: Atlas, chi_1mm: np.ndarray, random: np.random.Generator, size: int, voxel_mm: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(chi, mask, T1, labels) of a box of `size` voxels, turned and bent at random."""
    t1, inside = atlas.t1.astype(np.float32), atlas.mask.astype(np.float32)
    stack = torch.from_numpy(np.stack([chi_1mm * inside, inside, t1]))[None]
    # averaged before it is sampled: else borders at 2 and 3 mm would be sharper than a scan's
    pooled = max(1, round(voxel_mm))
    stack = torch.nn.functional.avg_pool3d(stack, pooled) if pooled > 1 else stack
    points = _points(atlas.mask.shape, random, size, voxel_mm)
    chi, mask, t1 = _sampled(stack, points, "bilinear").numpy()
    labels = _sampled(torch.from_numpy(atlas.labels).float()[None, None], points, "nearest")[0]
    chi = chi / np.maximum(mask, 1e-3)  # by the share of the mask: outside is no tissue of 0 ppm
    return chi, (mask >= 0.5).astype(np.float32), t1, labels.numpy().astype(np.uint8)


def _points(
    sizes: tuple[int, ...], random: np.random.Generator, size: int, voxel_mm: float
) -> Tensor:
    """Where each voxel of the box lies in the atlas: Z Y X (x, y, z), from -1 to 1."""
    angles = random.normal(0, 0.3 if random.random() < 0.7 else 1.8, 3)
    turn = Rotation.from_rotvec(angles).as_matrix() @ np.diag(random.uniform(0.85, 1.15, 3))
    extent = np.array(sizes, float)
    # a small box may lie anywhere in the head
    free = np.maximum(extent - 0.8 * size * voxel_mm, 0) / 2
    centre = random.uniform(-0.6, 0.6, 3) * free
    cells = int(np.ceil(extent.max() / CELL_MM)) + 2
    bend = random.normal(0, random.uniform(*WARP_MM), (1, 3, cells, cells, cells))
    axis = (torch.arange(size) - (size - 1) / 2) * voxel_mm
    grid_3ZYX = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))
    at = torch.einsum("ab,bzyx->azyx", torch.from_numpy(turn).float(), grid_3ZYX)
    reach = cells * CELL_MM / 2
    at = at + _sampled(torch.from_numpy(bend).float(), _xyz(at / reach), "bilinear")
    at = at + torch.from_numpy(centre).float()[:, None, None, None]
    half = torch.from_numpy(extent / 2).float()
    return _xyz(at / half[:, None, None, None])


def _xyz(points_3ZYX: Tensor) -> Tensor:
    return points_3ZYX.flip(0).permute(1, 2, 3, 0)


def _sampled(volume_1CZYX: Tensor, points_ZYX3: Tensor, mode: str) -> Tensor:
    return torch.nn.functional.grid_sample(
        volume_1CZYX, points_ZYX3[None], mode=mode, padding_mode="zeros", align_corners=False
    )[0]


def _texture(random: np.random.Generator, size: int, voxel_mm: float) -> np.ndarray:
    """A random field whose amplitude falls with |k| to some power; standard deviation 1."""
    white = torch.from_numpy(random.standard_normal((size,) * 3, np.float32))
    k = frequency((size,) * 3, Geometry.aligned((voxel_mm,) * 3)).clamp(min=1 / (size * voxel_mm))
    field = torch.fft.irfftn(torch.fft.rfftn(white) * k ** -random.uniform(0.5, 2.0), s=(size,) * 3)
    return (field / field.std()).numpy()


def _blurred(chi_ZYX: np.ndarray, voxels: float) -> np.ndarray:
    """A Gaussian of that standard deviation: scans resolve less than their voxels."""
    sizes = chi_ZYX.shape
    cycles = frequency(sizes, Geometry.aligned((1.0, 1.0, 1.0)))
    window = torch.exp(-2 * (np.pi * voxels * cycles) ** 2)
    chi = torch.from_numpy(np.ascontiguousarray(chi_ZYX, np.float32))
    return torch.fft.irfftn(torch.fft.rfftn(chi) * window, s=sizes).numpy()


def _add_vessel(chi_ZYX: np.ndarray, random: np.random.Generator, voxel_mm: float) -> None:
    """In place: a bent tube of .05 to .35 ppm above tissue, as veins have; radius .4 to 1.5 mm."""
    sizes = chi_ZYX.shape
    radius, length = random.uniform(0.4, 1.5) / voxel_mm, random.uniform(10, 60) / voxel_mm
    step = max(radius / 2, 0.4)
    at, way, bend = random.uniform(0, sizes, 3), random.normal(0, 1, 3), random.normal(0, 0.006, 3)
    way, bend, value = way / np.linalg.norm(way), bend * voxel_mm, random.uniform(0.05, 0.35)
    path = []
    for _ in range(int(length / step) + 1):
        path.append(at)
        way = way + bend * step
        way = way / np.linalg.norm(way)
        at = at + way * step
    path_P3 = np.array(path)
    low = np.clip(np.floor(path_P3.min(0) - radius - 1), 0, sizes).astype(int)
    high = np.clip(np.ceil(path_P3.max(0) + radius + 2), 0, sizes).astype(int)
    if (high <= low).any():
        return
    around = np.arange(-int(np.ceil(radius + 1)), int(np.ceil(radius + 1)) + 1)
    block = np.stack(np.meshgrid(around, around, around, indexing="ij"), -1).reshape(1, -1, 3)
    voxels = np.round(path_P3)[:, None].astype(int) + block
    away = np.linalg.norm(voxels - path_P3[:, None], axis=-1)
    # a tube thinner than a voxel fills a part of it
    share = np.clip(max(radius, 0.5) + 0.5 - away, 0, 1) * min(1.0, (2 * radius) ** 2)
    inside = ((voxels >= low) & (voxels < high)).all(-1) & (share > 0)
    box = np.zeros(tuple(high - low), np.float32)
    np.maximum.at(box, tuple((voxels[inside] - low).T), share[inside].astype(np.float32))
    part = chi_ZYX[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    part += box * np.float32(value)
