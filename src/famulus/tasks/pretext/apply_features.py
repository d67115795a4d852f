"""Features of a person's own pictures, written as one `.npz` without pickle."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import DataError
from famulus.images.input_pictures import loose_pictures, refuse_unread
from famulus.images.picture import Recipe
from famulus.images.unit import as_unit

BATCH = 64


def in_batches(inputs: Path, how: Recipe, device: torch.device, unread: list[str]):
    """(names, images BCYX in 0..1 on `device`); what can't be read is told in `unread`."""
    names: list[str] = []
    images: list[Tensor] = []
    for name, pixels in loose_pictures(inputs, how):
        # gathered: one broken file must not stop the others
        if isinstance(pixels, DataError):
            unread.append(f"{name} ({pixels})")
            continue
        names.append(name)
        images.append(as_unit(torch.from_numpy(pixels)))
        if len(names) == BATCH:
            yield names, torch.stack(images).to(device)
            names, images = [], []
    if names:
        yield names, torch.stack(images).to(device)


def write_features(
    features: Callable[[Tensor], Tensor], device: torch.device, inputs: Path, out: Path, how: Recipe
) -> None:
    """`features.npz` in `out`: `names` (text) and `features` float32. Raises Unread, DataError."""
    names: list[str] = []
    rows: list[np.ndarray] = []
    unread: list[str] = []
    for some, images in in_batches(inputs, how, device, unread):
        names += some
        rows.append(features(images).float().cpu().numpy())
    if rows:
        out.mkdir(parents=True, exist_ok=True)
        # text and numbers only, so that it opens without allow_pickle
        np.savez(out / "features.npz", names=np.array(names), features=np.concatenate(rows))
    refuse_unread(unread, len(names))
