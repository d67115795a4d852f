"""Susceptibility from a field in one step: TKD and Tikhonov.

Shapes: B batch, Z Y X voxels. Units: field and chi in ppm (any unit that both share); alpha and
thresholds have none.
Source: TKD: Shmueli et al. 2009, doi:10.1002/mrm.22135; Tikhonov: Bilgic et al. 2014,
doi:10.1002/mrm.25029.
"""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from famulus.tasks.qsm.dipole import (
    Geometry,
    apply_kernel,
    cropped,
    dipole_kernel,
    fast_sizes,
    padded,
)

Rho = TypeVar("Rho", float, Tensor)


def tkd_filter(d: Tensor, threshold: float) -> Tensor:
    """1/d where |d| > threshold, sign(d)/threshold elsewhere."""
    if not 0 < threshold < 2 / 3:
        raise ValueError(f"expected a threshold between 0 and 2/3, received {threshold}")
    # 0 stays 0 where d is: nothing is known there
    return d.sign() / d.abs().clamp(min=threshold)


def tikhonov_filter(d: Tensor, alpha: float) -> Tensor:
    """d / (d^2 + alpha): the minimum of |d chi - phi|^2 + alpha |chi|^2."""
    if not alpha > 0:
        raise ValueError(f"expected alpha > 0, received {alpha}")
    return d / (d.square() + alpha)


def _filtered(
    field_BZYX: Tensor, geometry: Geometry, make: Callable[[Tensor, float], Tensor], value: float
) -> Tensor:
    shape = tuple(field_BZYX.shape[-3:])
    sizes = fast_sizes(shape)
    kernel = make(dipole_kernel(sizes, geometry), value).to(field_BZYX)
    return cropped(apply_kernel(padded(field_BZYX, sizes), kernel), shape)


def tkd(field_BZYX: Tensor, geometry: Geometry, threshold: float = 0.15) -> Tensor:
    """Thresholded k-space division; padded with zeros to fast sizes only."""
    return _filtered(field_BZYX, geometry, tkd_filter, threshold)


def tikhonov(field_BZYX: Tensor, geometry: Geometry, alpha: float = 0.02) -> Tensor:
    """Closed form with an identity regulariser; padded with zeros to fast sizes only."""
    return _filtered(field_BZYX, geometry, tikhonov_filter, alpha)


def usable(rho: Rho) -> Rho:
    """rho as defaults take it: 1/(1/rho + 1/330). Maps are not white: at high |k| they hold less
    than their mean power, so that a scan without noise still wants alpha = 1/330. Found on heads
    of 2 and 3 mm made of the brain atlas."""
    return 1 / (1 / rho + 1 / 330)


def early_stop(rho: float) -> float:
    """Total step (sum of tau) that suits a noise: .58 rho, found on white maps; W = 1."""
    return 0.58 * rho


def suited_alpha(rho: Rho) -> Rho:
    """Tikhonov's alpha for a noise: 1/rho, which is Wiener's filter for white maps."""
    return 1 / rho


def suited_threshold(rho: float) -> float:
    """TKD's threshold for a noise: 2.3/sqrt(rho), at most .6; found on brain phantoms."""
    return min(0.6, 2.3 / rho**0.5)
