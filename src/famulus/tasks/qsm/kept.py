"""Spectra of simulated maps, kept in the user's cache: the same settings draw the same maps.

Deleting the cache costs the drawing, nothing else; a damaged or a strange file is drawn anew.
"""

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from famulus import __version__
from famulus.store.index import cache_folder

COLUMNS = ("a", "b", "c", "rho")


def kept_columns(
    fingerprint: str, count: int, make: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """The columns of `count` samples, float64, whose first axis is the sample: read, or made and
    written. Another version of Famulus may draw other maps, and has files of its own."""
    path = cache_folder() / "spectra" / f"{fingerprint}-{__version__}.safetensors"
    columns = _read(path, count)
    if columns is None:
        columns = make()
        _write(path, columns)
    return columns


def _read(path: Path, count: int) -> dict[str, Tensor] | None:
    try:
        columns = load_file(path)
    except (OSError, SafetensorError):
        return None
    sound = sorted(columns) == sorted(COLUMNS) and all(
        len(v) == count and v.dtype == torch.float64 and bool(v.isfinite().all())
        for v in columns.values()
    )
    return columns if sound else None


def _write(path: Path, columns: dict[str, Tensor]) -> None:
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: v.contiguous() for name, v in columns.items()}, part)
        os.replace(part, path)  # whole or not at all
    except OSError:  # a full or a read-only disk: a cache is no reason to stop
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
