"""What `famulus data list`, `info` and `convert` show and do."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.images import datasets as known
from famulus.images.files import FilePart
from famulus.images.image_index import make_index, write_index
from famulus.images.open import ImageSource, open_images


def sets() -> list[dict[str, Any]]:
    """One row a set: name, summary, whether its files are there, and if not, what is missing."""
    rows = []
    for name, opener in known.NAMED.items():
        summary = (opener.__doc__ or "").strip().split("\n\n")[0]
        row = {"name": name, "summary": " ".join(summary.split()), "present": True, "missing": ""}
        try:
            opener(None)
        except DataError as error:
            row |= {"present": False, "missing": str(error)}
        rows.append(row)
    return rows


def info(name: str, **how: Any) -> dict[str, Any]:
    """Counts, shape, classes with their counts, fingerprint and notes; `how` as `open_images`.

    Decodes the whole set. `shape` is (C, H, W), None if the pictures differ (then name a size).
    """
    splits = open_images(name, **how)
    row: dict[str, Any] = {"name": name, "fingerprint": splits.fingerprint, "shape": None}
    try:
        row |= {"train": len(splits.train), "validation": len(splits.validation)}
        row |= {"shape": tuple(splits.train.shape), "resized": splits.resized}
    except DataError as error:
        return row | {"notes": [str(error)]}
    for role in ("train", "validation"):
        source = getattr(splits, role)
        if source.labels is not None and source.classes is not None:
            counts = np.bincount(source.labels, minlength=len(source.classes)).tolist()
            row[f"{role}_classes"] = dict(zip(source.classes, counts, strict=True))
    return row | {"notes": splits.notes}


def convert(source: str, out: Path, **how: Any) -> dict[str, Any]:
    """Write a set as one `.npz` (keys: see `npz`), which opens much faster; returns `info`'s row.

    Raises DataError if `out` exists, is no `.npz`, or the set is too large for one array.
    """
    out = Path(out)
    if out.suffix != ".npz" or out.exists():
        raise DataError(f"{out}: expected the name of a new .npz file")
    splits = open_images(source, **how)
    arrays: dict[str, Any] = {}
    for role in ("train", "validation"):
        part = getattr(splits, role)
        if not isinstance(part, ImageSource):
            raise DataError(f"{source}: too large for one array: name a smaller size")
        images = part.images
        arrays[f"{role}_images"] = images[:, 0] if images.shape[1] == 1 else _last(images)
        if part.labels is not None and part.classes is not None:
            arrays[f"{role}_labels"] = part.labels
            arrays["classes"] = np.array(part.classes)
    # Whole or absent: a conversion that was killed leaves no set that opens.
    partial = out.with_name(f".{out.name}.partial")
    with open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(partial, out)
    # Of the file itself: what was written can be read.
    return info(str(out))


def convert_to_index(source: str, out: Path) -> tuple[int, list[str]]:
    """Write the index of a folder or zip of pictures, by headers alone; its length, and notes.

    Raises DataError if `out` exists, or for a set that has no files of its own.
    """
    found = known.find(source)
    parts = [part for part in (found.train, found.validation) if isinstance(part, FilePart)]
    if len(parts) < 2:
        raise DataError(f"{source}: expected a folder or a zip of pictures: arrays have no index")
    whose = {name: part for part in parts for name in part.names}
    entries, notes = make_index(whose, lambda name: whose[name].header(name))
    write_index(out, entries)
    return len(entries), notes


def _last(images_BCHW: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images_BCHW.transpose(0, 2, 3, 1))
