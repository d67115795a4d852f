"""Phase of a gradient echo: forward model, unwrapping, and one field map from several echoes.

Shapes: B batch, E echoes, Z Y X voxels. Units: rad, Hz, ppm; times in ms.
Source: magic tree unwrapping after Dymerska et al. 2021 (ROMEO), doi:10.1002/mrm.28563; weighted
fit after Robinson et al. 2017, doi:10.1002/nbm.3601.
"""

import math

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from torch import Tensor

from famulus.units import rad_from_hz, rad_from_ppm


def wrap(phase_rad: Tensor) -> Tensor:
    """The same angle in -pi..pi."""
    return torch.remainder(phase_rad + math.pi, 2 * math.pi) - math.pi


def within_a_turn(phase_rad: Tensor) -> bool:
    """Whether it may be a wrapped phase: in -pi..pi, 0..2 pi or any other turn."""
    # files round pi
    return float(phase_rad.max() - phase_rad.min()) <= 2 * math.pi + 1e-3


def centred_phase(phase_ZYX_rad: Tensor, mask_ZYX: Tensor) -> tuple[Tensor, float]:
    """(phase without its offset, offset rad): the mean direction within the mask becomes 0.

    A phase within one turn is wrapped anew, so that 0..2 pi is -pi..pi; one that was unwrapped
    stays so.
    """
    inside = phase_ZYX_rad[mask_ZYX > 0].double()
    offset = float(torch.atan2(inside.sin().mean(), inside.cos().mean()))
    if within_a_turn(inside):
        return wrap(phase_ZYX_rad - offset), offset
    # whole turns belong to the offset, too
    offset += 2 * math.pi * round((float(inside.median()) - offset) / (2 * math.pi))
    return phase_ZYX_rad - offset, offset


def wrapped_steps(phase_BZYX: Tensor, mask_BZYX: Tensor) -> int:
    """How many neighbours in the mask are more than pi apart, over all three axes."""
    count = 0
    for axis in (1, 2, 3):
        n = phase_BZYX.shape[axis] - 1
        both = mask_BZYX.narrow(axis, 0, n) * mask_BZYX.narrow(axis, 1, n) > 0
        count += int(((phase_BZYX.diff(dim=axis).abs() > math.pi) & both).sum())
    return count


def gradient_echo(
    field_BZYX_ppm: Tensor,
    magnitude_BZYX: Tensor,
    b0_t: float,
    te_ms: float,
    r2star_BZYX_hz: Tensor | float = 0.0,
    noise_BZYX: Tensor | None = None,
) -> Tensor:
    """S = M exp(-TE R2*) exp(i phase) + noise: complex64; `noise` complex, in M's unit."""
    decay = torch.as_tensor(r2star_BZYX_hz).mul(-te_ms * 1e-3).exp()
    signal = torch.polar(magnitude_BZYX * decay, rad_from_ppm(field_BZYX_ppm, b0_t, te_ms))
    return signal if noise_BZYX is None else signal + noise_BZYX


def _wrapped(x: np.ndarray) -> np.ndarray:
    return x - 2 * np.pi * np.round(x / (2 * np.pi))


def unwrap(
    phase_ZYX_rad: np.ndarray, mask_ZYX: np.ndarray, quality_ZYX: np.ndarray | None = None
) -> np.ndarray:
    """Congruent unwrapping: adds multiples of 2 pi along the tree of the most reliable edges.

    An edge is reliable where the phase step is small and `quality` (magnitude, say) is high at both
    ends; the maximum spanning tree is what region growing from the best edge visits. Each connected
    part of the mask starts at its best voxel, and its median is moved to within -pi..pi. Outside of
    the mask the result is 0.
    """
    # float64: turns are added up over thousands of edges
    phase = np.asarray(phase_ZYX_rad, np.float64)
    mask = np.asarray(mask_ZYX, bool)
    if not mask.any():
        raise ValueError("expected a mask with voxels in it, received an empty one")
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    quality = np.ones(mask.shape) if quality_ZYX is None else np.asarray(quality_ZYX, np.float64)
    quality = quality / max(float(quality[mask].max()), 1e-30)
    rows, columns, costs = [], [], []
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        low, high = tuple(low), tuple(high)
        both = mask[low] & mask[high]
        step = np.abs(_wrapped(phase[high] - phase[low]))[both] / np.pi
        least = np.minimum(quality[low], quality[high])[both]
        rows.append(number[low][both])
        columns.append(number[high][both])
        costs.append(1.01 - (1 - step) * np.clip(least, 0, 1))  # 0.01..1.01: a stored 0 is no edge
    n = int(mask.sum())
    edges = (np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns)))
    # of costs: the least costly tree is the most reliable one
    tree = minimum_spanning_tree(coo_matrix(edges, (n, n)).tocsr())
    values = phase[mask]
    out = np.empty(n)
    parts, part_of = connected_components(tree, directed=False)
    # stable: voxels of equal quality in one order everywhere
    order_by_quality = np.argsort(-quality[mask], kind="stable")
    _, first = np.unique(part_of[order_by_quality], return_index=True)
    roots = order_by_quality[first]
    for part in range(parts):
        order, parent = breadth_first_order(tree, roots[part], directed=False)
        turns = _turns(values, order, parent)
        whole = values[order] + 2 * np.pi * turns
        # the median and not the root: one bad voxel must not shift a part by turns
        out[order] = whole - 2 * np.pi * np.round(np.median(whole) / (2 * np.pi))
    result = np.zeros(mask.shape)
    result[mask] = out
    return result


def _turns(values: np.ndarray, order: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """Turns to add to each of `order`: the sum of wraps from the root, by doubling the way up."""
    place = np.empty(len(values), np.int64)
    place[order] = np.arange(len(order))
    up = np.zeros(len(order), np.int64)
    up[1:] = place[parent[order[1:]]]
    step = values[order] - values[order][up]
    turns = -np.round(step / (2 * np.pi))
    # Doubled each time: the tree of a brain is thousands of edges deep.
    while up.any():
        turns = turns + turns[up]
        up = up[up]
    return turns


def combine_echoes(
    phase_EZYX_rad: np.ndarray,
    magnitude_EZYX: np.ndarray,
    te_E_ms: np.ndarray,
    mask_ZYX: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(field_ZYX_hz, offset_ZYX_rad, residual_ZYX_rad) by a fit of phase = offset + 2 pi f TE.

    The first difference of echoes is unwrapped in space, the others follow in time: each echo is
    brought to within pi of what the line through the earlier ones predicts. The fit is weighted by
    magnitude squared. One echo is unwrapped in space, and its offset taken to be 0.
    """
    te = np.asarray(te_E_ms, np.float64)
    phase, magnitude = np.asarray(phase_EZYX_rad, np.float64), np.asarray(magnitude_EZYX)
    if phase.shape != magnitude.shape or len(te) != len(phase):
        raise ValueError(
            f"expected as many phases as magnitudes and echo times, received {phase.shape}, "
            f"{magnitude.shape} and {te.size}"
        )
    if (np.diff(te) <= 0).any() or te[0] <= 0:
        raise ValueError(f"expected rising echo times above 0 ms, received {te.tolist()}")
    mask = np.asarray(mask_ZYX, bool)
    if len(te) == 1:
        whole = unwrap(phase[0], mask, magnitude[0])
        return whole / rad_from_hz(1.0, te[0]), np.zeros(mask.shape), np.zeros(mask.shape)
    # the difference has no offset of the coils, and wraps less than either echo
    between = unwrap(_wrapped(phase[1] - phase[0]), mask, magnitude[0] * magnitude[1])
    slope = between / (te[1] - te[0])  # rad a ms
    unwrapped = [phase[0], phase[0] + between]
    for echo in range(2, len(te)):
        predicted = unwrapped[-1] + slope * (te[echo] - te[echo - 1])
        unwrapped.append(predicted + _wrapped(phase[echo] - predicted))
        # of all so far: noise of the first two would grow with the time it is carried over
        slope, _ = _line(np.stack(unwrapped), magnitude[: echo + 1], te[: echo + 1])
    line = np.stack(unwrapped)
    slope, offset = _line(line, magnitude, te)
    residual = line - offset - slope * te[:, None, None, None]
    spread = np.sqrt((residual**2).mean(0))
    hz = slope / rad_from_hz(1.0, 1.0)
    return hz * mask, _wrapped(offset) * mask, spread * mask


def _line(y_EZYX: np.ndarray, magnitude_EZYX: np.ndarray, te_E: np.ndarray):
    """Slope and offset of the line through each voxel's echoes, weighted by magnitude squared."""
    w = np.square(magnitude_EZYX.astype(np.float64)) + 1e-12  # where an echo has no signal
    t = te_E[:, None, None, None]
    total = w.sum(0)
    t_mean, y_mean = (w * t).sum(0) / total, (w * y_EZYX).sum(0) / total
    slope = (w * (t - t_mean) * (y_EZYX - y_mean)).sum(0) / (w * (t - t_mean) ** 2).sum(0)
    return slope, y_mean - slope * t_mean


def weights(magnitude_BZYX: Tensor, mask_BZYX: Tensor) -> Tensor:
    """Magnitude over its 99th percentile in the mask, clipped to 1, and 0 outside: W of NDI.

    A division by the maximum would slow the inversion down by whatever the brightest vessel is.
    """
    out = torch.zeros_like(magnitude_BZYX)
    for b in range(len(magnitude_BZYX)):
        inside = magnitude_BZYX[b][mask_BZYX[b] > 0]
        if inside.numel() == 0:
            continue
        k = max(1, math.ceil(0.99 * inside.numel()))
        top = inside.kthvalue(k).values.clamp(min=1e-30)
        out[b] = (magnitude_BZYX[b] / top).clamp(0, 1)
    return out * (mask_BZYX > 0)
