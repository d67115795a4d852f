"""Between people's values and a task's: arrays and tensors, and files as values in memory."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import DataError


def tensor_of(values: Any, device: torch.device) -> Tensor:
    """A tensor on `device` of an array or a tensor. Raises DataError for anything else."""
    if isinstance(values, Tensor):
        return values.detach().to(device)
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        # torch takes neither another byte order nor steps backwards, and warns of what is read-only
        plain = np.array(values, dtype=values.dtype.newbyteorder("="), order="C")
        return torch.from_numpy(plain).to(device)
    kind = f"{values.dtype} array" if isinstance(values, np.ndarray) else type(values).__name__
    raise DataError(f"apply: expected a path, an array or a tensor of numbers, received {kind}")


def like(result: Tensor, values: Any) -> Any:
    """`result` as what `values` is: an array, or a tensor on its device."""
    result = result.detach()
    return result.to(values.device) if isinstance(values, Tensor) else result.cpu().numpy()


def files_of(place: Path) -> dict[str, Any]:
    """Each file that `apply` wrote below `place`, by its relative name, as a value."""
    return {
        path.relative_to(place).as_posix(): _read(path)
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


def _read(path: Path) -> Any:
    for suffix, reader in READERS.items():
        if path.name.endswith(suffix):
            return reader(path)
    return path.read_bytes()


def _picture(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def _volume(path: Path) -> np.ndarray:
    from famulus.volumes import nifti

    return nifti.read(path).values


def _pages(path: Path) -> np.ndarray:
    import tifffile

    return np.asarray(tifffile.imread(path))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


READERS: dict[str, Callable[[Path], Any]] = {
    ".png": _picture,  # uint8 YX or YXC
    ".npz": _arrays,
    ".npy": lambda path: np.load(path, allow_pickle=False),
    ".tif": _pages,  # YX or ZYX
    ".nii.gz": _volume,  # float32 ZYX
    ".nii": _volume,
    ".csv": _table,  # rows by column
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
}
