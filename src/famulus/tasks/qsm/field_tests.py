"""Is a field operator its own adjoint, does it point along B0, does it explain the data?

Shapes: B batch, Z Y X voxels, H = X//2+1. Units: ppm, rad, mm.
Source: the field of a small sphere, Marques & Bowtell 2005, doi:10.1002/cmr.b.20034: outside of it
that of a point with its moment, V chi / (4 pi r^3) (3 cos^2 - 1).
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from famulus.tasks.qsm.dipole import Geometry, Sizes

Operator = Callable[[Tensor], Tensor]  # BZYX ppm to BZYX ppm, linear
Verdict = tuple[str, bool, str, str, str]  # name, passed, sentence, cause, remedy
ADJOINT, SPHERE, COARSE_SPHERE, EXPLAINED = 1e-4, 0.2, 0.4, 0.6  # largest errors that pass
CLEARLY = 0.95  # one residual over another
COARSE = 24  # voxels of the shortest side below which a sphere is no sphere


def adjoint_gap(operator: Operator, shape: Sizes) -> float:
    """|<Ax, y> - <x, Ay>| / (|Ax| |y|) for numbers drawn once: 0 for a symmetric operator."""
    stream = torch.Generator().manual_seed(0)
    x, y = (torch.randn((1, *shape), generator=stream) for _ in range(2))
    # sums over a volume in float32 differ by more than an asymmetry
    ax, ay = operator(x).double(), operator(y).double()
    gap = (ax * y).sum() - (x * ay).sum()
    return float(gap.abs() / (ax.norm() * y.double().norm()).clamp(min=1e-12))


def sphere_error(operator: Operator, shape: Sizes, geometry: Geometry) -> float:
    """Relative error around a sphere of 1 ppm in the middle, against the closed form.

    Looked at in a shell clear of the surface and of the copies beyond a periodic border; the mean
    is left free, since d(0) is a convention.
    """
    index = torch.stack(
        torch.meshgrid(
            *[torch.arange(n, dtype=torch.float64) - n // 2 for n in shape], indexing="ij"
        )
    )
    steps = torch.tensor(geometry.steps_mm, dtype=torch.float64)
    place = torch.einsum("azyx,ab->bzyx", index, steps)
    r = place.square().sum(0).sqrt()
    extent = min(n * mm for n, mm in zip(shape, geometry.voxel_zyx_mm, strict=True))
    b0 = torch.tensor(geometry.b0, dtype=torch.float64)
    cos = torch.einsum("azyx,a->zyx", place, b0 / b0.norm()) / r.clamp(min=1e-9)
    chi = (r <= extent / 8).float()
    moment = float(chi.sum()) * float(torch.linalg.det(steps).abs())
    exact = moment / (4 * math.pi) * (3 * cos.square() - 1) / r.clamp(min=1e-9).pow(3)
    # near the surface voxels are steps, far out the periodic copies add theirs
    shell = (r > extent / 5) & (r < extent / 3)
    got = operator(chi[None])[0].double()[shell]
    exact = exact[shell]
    # d(0) shifts the whole field and is a convention.
    got, exact = got - got.mean(), exact - exact.mean()
    return float((got - exact).norm() / exact.norm().clamp(min=1e-12))


def residual(operator: Operator, source: Tensor, seen: Tensor, mask: Tensor) -> float:
    """|A source - seen| / |seen| in the mask, the best factor and constant left free; BZYX.

    1 says that nothing of what is seen is explained. Free of units, so that two maps can be tried
    in each other's place.
    """
    inside = mask > 0
    a, b = operator(source.float())[inside].double(), seen[inside].double()
    a, b = a - a.mean(), b - b.mean()
    slope = (a * b).sum() / a.square().sum().clamp(min=1e-30)
    return float((b - slope * a).norm() / b.norm().clamp(min=1e-30))


def verdicts(
    operator: Operator, shape: Sizes, geometry: Geometry, phase: Tensor, chi: Tensor, mask: Tensor
) -> Iterator[Verdict]:
    """The three tests, on one sample BZYX: its `phase` is the input, `chi` the target."""
    gap, error = adjoint_gap(operator, shape), sphere_error(operator, shape, geometry)
    text = f"<Ax, y> and <x, Ay> differ by {gap:.2g} of |Ax| |y|"
    remedy = "a kernel with d(k) = d(-k): fftfreq, no fftshift, no linspace"
    yield "adjoint", gap < ADJOINT, text, "operator-wrong", remedy
    limit = SPHERE if min(shape) >= COARSE else COARSE_SPHERE
    text = f"the field of a sphere is {error:.2g} off the closed form, which points along B0"
    remedy = "b0 and the order of the axes, z first; frequencies of fftfreq times the voxel size"
    yield "orientation", error < limit, text, "operator-wrong", remedy
    ours, theirs = residual(operator, chi, phase, mask), residual(operator, phase, chi, mask)
    text = (
        f"the field of the target leaves {ours:.2g} of the input unexplained, that of the input"
        f" {theirs:.2g} of the target"
    )
    # only if the operator itself is right: a turned kernel explains either badly
    turned = theirs < CLEARLY * ours and error < limit
    cause = "input-and-target-swapped" if turned else "operator-wrong"
    remedy = "phase is the input, susceptibility the target" if turned else remedy
    # Above noise, D D chi is like chi as well: the better of both directions decides.
    passed = ours < min(EXPLAINED, theirs) or ours < CLEARLY * theirs  # noise is not explained
    yield "input and target", passed, text, cause, remedy
