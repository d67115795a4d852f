"""What a loop hands over at a step, and what of it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from famulus.bridges.watched import first_tensor, tensors_of
from famulus.config.errors import ConfigError
from famulus.diagnosis import gaussian_code
from famulus.diagnosis.probes.codebook import of_codes
from famulus.diagnosis.probes.features import are_features, describe
from famulus.diagnosis.probes.tensors import Sheet, readable

SIGMA = {  # what a posterior's width may be called -> its standard deviation
    "logvar": lambda t: (t / 2).exp(),
    "log_var": lambda t: (t / 2).exp(),
    "logsigma": torch.exp,
    "log_sigma": torch.exp,
    "var": torch.sqrt,
    "sigma": lambda t: t,
    "std": lambda t: t,
}
MEAN = ("mu", "mean", "loc")


@dataclass(frozen=True)
class Batch:
    """See `Monitor.step`. parts: terms of the loss."""

    loss: Any = None
    inputs: Any = None
    outputs: Any = None
    targets: Any = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    latent: Mapping[str, Any] | None = None
    codes: Any = None
    features: Any = None
    loss_fn: Callable[[Any, Any], Any] | None = None


def checked_batch(batch: Batch) -> Batch:
    """Raises ConfigError for what is not what its name says."""
    if batch.latent is not None:
        _posterior(batch.latent)
    if batch.codes is not None and not _are_ids(first_tensor(batch.codes)):
        raise ConfigError(
            "Monitor.step: expected codes as a tensor of code ids (integers from 0), received"
            f" {_kind(batch.codes)}"
        )
    if batch.features is not None and not list(tensors_of(batch.features)):
        raise ConfigError(
            "Monitor.step: expected features as a tensor (B, D) or two views' tensors, received"
            f" {_kind(batch.features)}"
        )
    if batch.loss_fn is not None and not callable(batch.loss_fn):
        raise ConfigError(
            "Monitor.step: expected loss_fn as a function of (outputs, targets), received"
            f" {_kind(batch.loss_fn)}"
        )
    return batch


def inside(batch: Batch, sizes: list[int]) -> dict[str, dict[str, float]]:
    """What a batch shows of a net's inside: `code`, `codebook`, `features`; waits for the device.

    sizes: of codebooks that the net may have; where more than one would do, nobody knows which.
    Ids below 0 are of places without a code.
    """
    found: dict[str, dict[str, float]] = {}
    if batch.latent is not None:
        mean, sigma = _posterior(batch.latent)
        if mean.dim() > 1 and len(mean) > 1:
            figures = gaussian_code.described(mean.detach(), sigma.detach()).tolist()
            found["code"] = dict(zip(gaussian_code.FIGURES, figures, strict=True))
    ids = first_tensor(batch.codes)
    if ids is not None and (ids := ids[ids >= 0]).numel():
        large = {size for size in sizes if size > int(ids.max())}
        found["codebook"] = of_codes(ids, large.pop() if len(large) == 1 else None)
    views = [t for t in tensors_of(batch.features) if readable(t) and are_features(t)]
    if views:
        found["features"] = _of_features(views)
    return {name: _rounded(figures) for name, figures in found.items()}


def _of_features(views: list[Tensor]) -> dict[str, float]:
    sheet = Sheet()
    into: dict[str, float] = {}
    describe(views[0], sheet, into)
    sheet.read()
    first = views[0].detach().double()
    if len(views) > 1 and views[1].shape == first.shape:
        apart = (views[1].detach().double() - first).abs().max()
        into["views"] = float(apart / first.abs().max().clamp_min(1e-30))
    # of unit length over the samples, and not over the features
    columns, rows = ((first.norm(dim=axis) - 1).abs().max() for axis in (0, 1))
    into["columns"], into["rows"] = float(columns), float(rows)
    return into


def _posterior(latent: Any) -> tuple[Tensor, Tensor]:
    """(mean, sigma). Raises ConfigError."""
    given = dict(latent) if isinstance(latent, Mapping) else {}
    mean = next((given[k] for k in MEAN if k in given), None)
    width = next(((SIGMA[k], given[k]) for k in SIGMA if k in given), None)
    if not isinstance(mean, Tensor) or width is None or not isinstance(width[1], Tensor):
        raise ConfigError(
            'Monitor.step: expected latent={"mu": tensor, "logvar": tensor} (or "sigma", "std",'
            f' "var"), received {sorted(given) if given else _kind(latent)}'
        )
    if mean.shape != width[1].shape:
        raise ConfigError(
            "Monitor.step: expected latent with a mean and a width of one shape, received"
            f" {tuple(mean.shape)} and {tuple(width[1].shape)}"
        )
    return mean, width[0](width[1].detach())


def _are_ids(value: Any) -> bool:
    return isinstance(value, Tensor) and not (value.is_floating_point() or value.is_complex())


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype}"
    return type(value).__name__


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {k: float(f"{v:.4g}") for k, v in figures.items() if v is not None}
