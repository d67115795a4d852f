"""Magnetic field of a susceptibility map.

Shapes: B batch, Z Y X voxels, H = X//2+1 columns of a half spectrum.
Units: chi and field in ppm, steps in mm, frequencies in cycles per sample or per mm.
Source: Marques & Bowtell 2005, doi:10.1002/cmr.b.20034; Salomir et al. 2003,
doi:10.1002/cmr.b.10083. Image-space kernel: Jenkinson et al. 2004, doi:10.1002/mrm.20194.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

Sizes = tuple[int, int, int]
Triple = tuple[float, float, float]
Kind = Literal["spectral", "image"]
_AXES = (-3, -2, -1)


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a ZYX tensor lie in the scanner, and where B0 points.

    `steps_mm` has a row for each tensor axis Z, Y, X: the way from one voxel to the next in
    scanner coordinates (x, y, z). `b0` is a direction in the same coordinates, of any length.
    """

    steps_mm: tuple[Triple, Triple, Triple]
    b0: Triple = (0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        steps, b0 = np.array(self.steps_mm, float), np.array(self.b0, float)
        if steps.shape != (3, 3) or not np.isfinite(steps).all():
            raise ValueError(f"expected three finite steps of three mm, received {self.steps_mm}")
        volume = abs(np.linalg.det(steps))
        # Relative to the lengths of the steps: the voxels of a microscope span little, too.
        if volume < 1e-6 * np.prod(np.linalg.norm(steps, axis=1)) or volume == 0:
            raise ValueError(f"expected steps that span a volume, received {self.steps_mm}")
        if b0.shape != (3,) or not np.isfinite(b0).all() or not b0.any():
            raise ValueError(f"expected b0 that points somewhere, received {self.b0}")

    @classmethod
    def from_affine(cls, affine_44: np.ndarray, b0: Triple = (0.0, 0.0, 1.0)) -> Self:
        """From a NIfTI affine, whose columns are the steps of X, Y and Z (the tensor reversed)."""
        # reversed: a NIfTI counts X first, a tensor Z
        rows = np.asarray(affine_44, float)[:3, 2::-1].T
        return cls(tuple(map(tuple, rows.tolist())), tuple(map(float, b0)))

    @classmethod
    def aligned(cls, voxel_zyx_mm: Triple, b0_zyx: Triple = (1.0, 0.0, 0.0)) -> Self:
        """Axes along the scanner's; B0 as components along the tensor axes Z, Y, X."""
        if min(voxel_zyx_mm) <= 0:
            raise ValueError(f"expected voxel sizes above 0 mm, received {voxel_zyx_mm}")
        z, y, x = voxel_zyx_mm
        return cls(((0.0, 0.0, z), (0.0, y, 0.0), (x, 0.0, 0.0)), tuple(b0_zyx[::-1]))

    @property
    def voxel_zyx_mm(self) -> Triple:
        return tuple(np.linalg.norm(self.steps_mm, axis=1).tolist())

    @property
    def b0_zyx(self) -> Triple:
        """Unit B0 as components along the (unit) tensor axes; exact for orthogonal axes."""
        unit = np.array(self.b0) / np.linalg.norm(self.b0)
        axes = np.array(self.steps_mm) / np.linalg.norm(self.steps_mm, axis=1)[:, None]
        return tuple((axes @ unit).tolist())


def fast_sizes(shape: Sizes, factor: float = 1.0) -> Sizes:
    """Smallest sizes of at least `factor` times `shape` that an FFT likes (primes up to 11)."""
    # a prime size costs several times the time of the next good one
    return tuple(next_fast_len(math.ceil(n * factor)) for n in shape)


def _ratio(frequencies: list[Tensor], geometry: Geometry) -> Tensor:
    """1/3 - (k.b0)^2/|k|^2 on a grid of index frequencies, and 0 at k = 0; float64."""
    # In float64: near the cone d is a small difference, and an inversion divides by it.
    inverse = torch.tensor(np.linalg.inv(np.array(geometry.steps_mm)), dtype=torch.float64)
    b0 = torch.tensor(geometry.b0, dtype=torch.float64)
    along_3 = (b0 / b0.norm()) @ inverse  # k = inverse f
    gram_33 = inverse.T @ inverse
    f = [v.reshape([-1 if a == b else 1 for b in range(3)]) for a, v in enumerate(frequencies)]
    along2 = sum(along_3[a] * f[a] for a in range(3)).square_()
    k2 = sum(
        gram_33[a, b] * (1 if a == b else 2) * f[a] * f[b] for a in range(3) for b in range(a, 3)
    )
    # d(0) is a convention: no phase tells the mean of a map.
    zero = k2 <= 0
    return (1 / 3 - along2.div_(k2.masked_fill(zero, 1.0))).masked_fill_(zero, 0.0)


def dipole_kernel(shape: Sizes, geometry: Geometry, kind: Kind = "spectral") -> Tensor:
    """d(k) for `rfftn` over a periodic grid: float32 ZYH without a unit, d(0) = 0.

    `spectral` samples d = 1/3 - (k.b0)^2/|k|^2; where a frequency is as much +1/2 as -1/2 (even
    sizes), it is the mean over the signs, so that d(k) = d(-k) also for oblique axes. `image` is
    the transform of the point dipole (3 cos^2 - 1) / (4 pi r^3): better for forward fields on a
    grid twice as large.
    """
    if kind == "image":
        return _point_dipole(shape, geometry)
    # in the transform's own order: a shifted or a linspace grid turns the kernel
    f = [torch.fft.fftfreq(n, dtype=torch.float64) for n in shape[:2]]
    f.append(torch.fft.rfftfreq(shape[2], dtype=torch.float64))
    kernel = _ratio(f, geometry)
    even = [a for a in range(3) if shape[a] % 2 == 0]
    for axis in even:
        planes = []
        # +1/2 and -1/2 are one frequency there; either sign alone would make d(k) differ from d(-k)
        for signs in itertools.product((0.5, -0.5), repeat=len(even)):
            g = [v.clone() for v in f]
            for a, half in zip(even, signs, strict=True):
                g[a][shape[a] // 2] = half
            g[axis] = g[axis][shape[axis] // 2 :][:1]
            planes.append(_ratio(g, geometry))
        kernel.narrow(axis, shape[axis] // 2, 1).copy_(sum(planes) / len(planes))
    return kernel.to(torch.float32)


def frequency(shape: Sizes, geometry: Geometry) -> Tensor:
    """|k| ZH of the half spectrum in cycles per mm: float32."""
    inverse = torch.tensor(np.linalg.inv(np.array(geometry.steps_mm)), dtype=torch.float32)
    f = [torch.fft.fftfreq(n) for n in shape[:2]] + [torch.fft.rfftfreq(shape[2])]
    gram_33 = (inverse.T @ inverse).tolist()
    signed = [v.reshape([-1 if a == b else 1 for b in range(3)]) for a, v in enumerate(f)]
    k2 = sum(gram_33[a][a] * signed[a].square() for a in range(3))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        if abs(gram_33[a][b]) > 1e-9 * gram_33[a][a]:  # none if axes are orthogonal
            k2 = k2 + 2 * gram_33[a][b] * signed[a] * signed[b]
    return k2.clamp(min=0).sqrt()  # rounding


def _point_dipole(shape: Sizes, geometry: Geometry) -> Tensor:
    index = [torch.fft.fftfreq(n, 1 / n, dtype=torch.float64) for n in shape]
    n_3ZYX = torch.stack(torch.meshgrid(*index, indexing="ij"))
    steps = torch.tensor(geometry.steps_mm, dtype=torch.float64)
    b0 = torch.tensor(geometry.b0, dtype=torch.float64)
    b0 = b0 / b0.norm()
    r2 = torch.einsum("azyx,ab,bzyx->zyx", n_3ZYX, steps @ steps.T, n_3ZYX)
    along2 = torch.einsum("azyx,a->zyx", n_3ZYX, steps @ b0).square()
    zero = r2 == 0
    r2.masked_fill_(zero, 1.0)
    voxel = torch.linalg.det(steps).abs()
    point = (voxel / (4 * math.pi) * (3 * along2 / r2 - 1) / r2.pow(1.5)).masked_fill_(zero, 0.0)
    # On a lattice that is not cubic, the neighbours' fields inside a uniform ball don't cancel as
    # they do in the continuum (Lorentz's ball); the origin takes what is missing. A Gaussian
    # window sees no edge of the grid, and averages the dipole's angles to 0.
    reach = min(n * mm for n, mm in zip(shape, geometry.voxel_zyx_mm, strict=True)) / 2
    window = torch.exp(r2.div_(-2 * (reach / 4) ** 2))
    point[0, 0, 0] = -(point * window.masked_fill_(zero, 0.0)).sum()
    # Only the even part: r = +N/2 and -N/2 are one voxel, and the true kernel is even.
    return torch.fft.rfftn(point).real.to(torch.float32)


def full_kernel(kernel_ZYH: Tensor, columns: int) -> Tensor:
    """The half spectrum's kernel as `fftn` lays it out: ZYX, `columns` = X."""
    tail = kernel_ZYH[..., 1 : columns - kernel_ZYH.shape[-1] + 1]
    mirrored = tail.flip((-3, -2, -1)).roll((1, 1), (-3, -2))
    return torch.cat([kernel_ZYH, mirrored], -1)


def apply_kernel(volume_BZYX: Tensor, kernel_ZYH: Tensor) -> Tensor:
    """Periodic convolution, symmetric in its argument: the operator is its own adjoint."""
    sizes = volume_BZYX.shape[-3:]
    spectrum = torch.fft.rfftn(volume_BZYX, dim=_AXES)
    # real and even, so that the adjoint is the operator itself
    return torch.fft.irfftn(spectrum.mul_(kernel_ZYH), s=sizes, dim=_AXES)


def padded(volume_BZYX: Tensor, sizes: Sizes) -> Tensor:
    """Zeros behind the volume up to `sizes`; `cropped` undoes it."""
    z, y, x = (new - old for new, old in zip(sizes, volume_BZYX.shape[-3:], strict=True))
    return torch.nn.functional.pad(volume_BZYX, (0, x, 0, y, 0, z))


def cropped(volume_BZYX: Tensor, sizes: Sizes) -> Tensor:
    z, y, x = sizes
    return volume_BZYX[..., :z, :y, :x]


def dipole_field(
    chi_BZYX_ppm: Tensor, geometry: Geometry, pad: float = 2.0, kind: Kind = "image"
) -> Tensor:
    """field_BZYX_ppm of a map with nothing around it; symmetric, so it is also its adjoint.

    Computed on a grid `pad` times as large, rounded up to fast sizes; `pad=1` with a fast shape
    is periodic.
    """
    shape = tuple(chi_BZYX_ppm.shape[-3:])
    sizes = fast_sizes(shape, pad)
    # twice the size: in a periodic one the copies' fields reach in
    kernel = dipole_kernel(sizes, geometry, kind).to(chi_BZYX_ppm)
    return cropped(apply_kernel(padded(chi_BZYX_ppm, sizes), kernel), shape)
