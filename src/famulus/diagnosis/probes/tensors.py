"""What a probe reads from tensors: few kernels, no wait for the device.

Moments and shares come from an even sample of at most `SAMPLE` values, so that they cost the same
for a volume as for a picture; extremes, and whether a unit is dead, from all values.

Shapes: B samples, U units (channels or features), N values.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]  # no stub

from famulus.nets.rank import effective_rank

SAMPLE = 16_384  # values that moments and shares are taken from
CONSTANT = 1e-6  # a unit whose values span less than this share of their size is constant
RANKED = (128, 4096)  # samples and units, at most, that a rank is taken from
FOLD = 64  # rows laid side by side where units are innermost: many short rows are slow to reduce


class Sheet:
    """Figures still on the device, each with the place that it will be written to."""

    def __init__(self) -> None:
        self._values: dict[torch.dtype, list[Tensor]] = {}
        self._places: dict[torch.dtype, list[tuple[int, Callable[[np.ndarray], None]]]] = {}
        # of one size and device, each with the place of its figures
        self._samples: dict[tuple[int, torch.device], list[tuple[Tensor, dict[str, Any]]]] = {}

    def put(self, value: Tensor, place: Callable[[np.ndarray], None]) -> None:
        """`place` gets the values, flat and in float64, when `read` is called."""
        value = value.reshape(-1)
        value = value if value.dtype == torch.float64 else value.float()
        self._values.setdefault(value.dtype, []).append(value)
        self._places.setdefault(value.dtype, []).append((value.numel(), place))

    def scalar(self, value: Tensor, into: dict[str, Any], key: str, root: bool = False) -> None:
        """`root`: its square root is what is wanted."""

        def place(found: np.ndarray) -> None:
            into[key] = math.sqrt(found[0]) if root else float(found[0])

        self.put(value, place)

    def sample(self, some: Tensor, into: dict[str, Any]) -> None:
        """`mean`, `std` and `zeros`, the share that is 0, of N values in float32: when `close` is
        called, in a few kernels for all layers of one size."""
        # a copy: a module may change its output in place
        self._samples.setdefault((some.numel(), some.device), []).append((some.clone(), into))

    def _put_samples(self) -> None:
        for samples in self._samples.values():
            values_LN = torch.stack([some for some, _ in samples])
            # in floats, in place: booleans would take four times as long to make and to add up
            other_L = values_LN.clone().ne_(0).mean(1)
            means_L1 = values_LN.mean(1, keepdim=True)
            variances_L = values_LN.sub_(means_L1).square_().mean(1)
            places = [into for _, into in samples]

            def place(found: np.ndarray, places: list[dict[str, Any]] = places) -> None:
                for into, mean, variance, other in zip(places, *found.reshape(3, -1), strict=True):
                    into["mean"], into["std"] = float(mean), math.sqrt(variance)
                    into["zeros"] = 1 - float(other)

            self.put(torch.stack([means_L1[:, 0], variances_L, other_L]), place)
        self._samples = {}

    @torch.no_grad()
    def close(self) -> None:
        """Joins what is of one type; what it came from is free to go."""
        self._put_samples()
        for values in self._values.values():
            if len(values) > 1:
                values[:] = [torch.cat([v.to(values[0].device) for v in values])]

    def read(self) -> None:
        """The one wait for the device."""
        self.close()
        for kind, (value,) in self._values.items():
            found, start = value.double().cpu().numpy(), 0
            for size, place in self._places[kind]:
                place(found[start : start + size])
                start += size


def readable(value: Any) -> bool:
    """Whether it is a tensor of numbers that can be looked at: not one inside of torch.func."""
    return (
        isinstance(value, Tensor)
        and not isinstance(value, UninitializedTensorMixin)
        and value.layout is torch.strided
        and not value.is_nested
        and value.device.type != "meta"
        and not torch._C._functorch.is_functorch_wrapped_tensor(value)
        and value.numel() > 0
    )


def plain(value: Tensor) -> Tensor:
    """Detached and real, in a floating type."""
    value = value.detach()
    if value.is_complex():
        return torch.view_as_real(value)
    return value if value.is_floating_point() else value.float()


def flat(value: Tensor) -> Tensor:
    """All values, in the order of memory where that saves a copy."""
    if not value.is_contiguous() and value.ndim > 2:
        value = value.movedim(1, -1)  # channels-last: a view
    return value.reshape(-1)


def evenly(count: int, most: int) -> int:
    """Step between places, of which at most `most` are then met: no axis at a fixed place of it."""
    stride = -(-count // most)
    while math.gcd(stride, count) > 1 and stride < count:
        stride += 1
    return stride


def sampled(value: Tensor, most: int = SAMPLE) -> Tensor:
    """At most `most` values in float32, evenly spread."""
    return flat(value)[:: evenly(value.numel(), most)].float()


def moments(some: Tensor) -> tuple[Tensor, Tensor]:
    """(mean, variance) of N values in float32.

    Two passes of sums: as exact as `torch.var_mean`, which takes fifty times as long on a CPU.
    """
    mean = some.mean()
    apart = some - mean
    return mean, torch.dot(apart, apart) / some.numel()


def put_moments(some: Tensor, sheet: Sheet, into: dict[str, Any]) -> Tensor:
    """`mean` and `std`; the variance, to go on with."""
    mean, variance = moments(some)
    sheet.scalar(mean, into, "mean")
    sheet.scalar(variance, into, "std", root=True)
    return variance


def unit_extremes(value: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """(least, largest) of each unit, U values; `axis` is 1 or -1."""
    if value.ndim < 2:
        return value.reshape(1, -1).amin(1), value.reshape(1, -1).amax(1)
    if axis == 1 and value.ndim > 2 and value.is_contiguous():
        rest = (0, *range(2, value.ndim))
        return value.amin(rest), value.amax(rest)
    rows = (value.movedim(1, -1) if axis == 1 and value.ndim > 2 else value).flatten(0, -2)
    count, units = rows.shape
    fold = math.gcd(count, FOLD) if units < 256 and rows.numel() > SAMPLE else 1
    if fold == 1:
        return rows.amin(0), rows.amax(0)
    folded = rows.reshape(count // fold, fold * units)
    ends = folded.amin(0).view(fold, units), folded.amax(0).view(fold, units)
    return ends[0].amin(0), ends[1].amax(0)


def put_dead(value: Tensor, axis: int, sheet: Sheet, into: dict[str, Any]) -> None:
    """`dead`: share of units that say the same for the whole batch; absent if each says one thing
    only."""
    low, high = unit_extremes(value, axis)
    if low.numel() == value.numel():
        return

    def place(found: np.ndarray) -> None:
        low, high = found.reshape(2, -1)
        size = np.maximum(np.abs(low), np.abs(high))
        with np.errstate(invalid="ignore"):  # infinities say something else each time
            into["dead"] = float((high - low <= CONSTANT * size).mean())

    sheet.put(torch.stack([low, high]), place)


def pooled(value: Tensor, axis: int) -> Tensor:
    """BU means of the first samples over everything but samples and units."""
    value = value[: RANKED[0]].float()
    if value.ndim > 2:
        value = value.flatten(2).mean(-1) if axis == 1 else value.flatten(1, -2).mean(1)
    return value[:, : RANKED[1]]


def gram(features_BU: Tensor) -> Tensor:
    """Products of centred features, in float64, over the shorter axis: its eigenvalues are the
    squares of their singular values."""
    # MPS has no float64
    kind = torch.float32 if features_BU.device.type == "mps" else torch.float64
    centred = features_BU.to(kind)
    centred = centred - centred.mean(0)
    return centred @ centred.T if len(centred) <= centred.shape[1] else centred.T @ centred


def rank_of_gram(gram_flat: np.ndarray) -> float | None:
    """Effective rank of the features behind a `gram`: 0 if all are the same, None if not finite."""
    if not np.isfinite(gram_flat).all():
        return None
    size = math.isqrt(gram_flat.size)
    eigenvalues = np.linalg.eigvalsh(gram_flat.reshape(size, size))
    # Rounding may leave eigenvalues just below 0.
    values = np.sqrt(np.clip(eigenvalues, 0.0, None))
    # float32 features are known to some 1e-7 of the largest: below is rounding, not a direction
    values = values[values > 1e-6 * max(values.max(), 1e-12)]
    return effective_rank(torch.from_numpy(values)) if values.size else 0.0


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """One norm a tensor, in float32."""
    read = [t.coalesce().values() if t.is_sparse else t for t in tensors]
    return torch.stack([n.float().to(read[0].device) for n in torch._foreach_norm(read)])


def largest_of(tensors: Sequence[Tensor]) -> Tensor:
    """One largest absolute value a tensor, in float32, or float64 of such tensors alone; changes
    the tensors. The infinite norm would take thirty times as long on a CPU."""
    real = [torch.view_as_real(t) if t.is_complex() else t for t in tensors]
    torch._foreach_abs_(real)
    return torch.stack([m.float().to(real[0].device) for m in torch._foreach_max(real)])


def batch_figures(value: Tensor, sheet: Sheet) -> dict[str, Any]:
    """Of a tensor of a batch: min, max, mean, std, and `spread` where there are samples to compare.

    spread: std over the samples / std of everything: 0 where all samples are the same.
    """
    into: dict[str, Any] = {}
    value = plain(value)
    least, largest = torch.aminmax(flat(value))
    sheet.scalar(least, into, "min")
    sheet.scalar(largest, into, "max")
    of_all = put_moments(sampled(value), sheet, into)
    if value.ndim and len(value) > 1:
        rows = value.reshape(len(value), -1)
        some = rows[:, :: -(-rows.numel() // SAMPLE)].float()
        over_batch = moments((some - some.mean(0)).reshape(-1))[1]
        if value.numel() > SAMPLE:  # another part than the one above
            of_all = moments(some.reshape(-1))[1]
        put_spread(over_batch, of_all, sheet, into)
    return into


def put_spread(over_batch: Tensor, of_all: Tensor, sheet: Sheet, into: dict[str, Any]) -> None:
    """From variances over samples and of everything."""

    def place(found: np.ndarray) -> None:
        least = 1e-60  # of a constant batch nothing is left
        into["spread"] = math.sqrt(found[0] / max(found[1], least))

    sheet.put(torch.stack([over_batch, of_all]), place)
