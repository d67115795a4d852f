"""What `famulus data info` says of a volume, before anything is trained on it."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.progress import bar
from famulus.volumes.axes import CHOSEN, Unchosen
from famulus.volumes.bricks import SUFFIX, Bricks
from famulus.volumes.kinds import reader_of
from famulus.volumes.open import LABELS, MASKS, WHOLE, Part, beside, open_volume
from famulus.volumes.range_in_use import range_note, sampled
from famulus.volumes.reader import Reader
from famulus.volumes.values import Values, values_for

BUDGET = 10.0  # seconds in which voxels are looked at


def info(path: Path, part: Part = WHOLE) -> dict[str, Any]:
    """Kind, shape, type, axes, range in use, mask, labels, notes, and the YAML that uses it.

    Of bricks every byte is read and compared with its checksum. Raises DataError naming what is
    missing or damaged.
    """
    return described(path, part)[0]


def described(path: Path, part: Part = WHOLE, verify: bool = True) -> tuple[dict[str, Any], Part]:
    """As `info`, and the part of the file that it opens as a volume. `verify`: read all bricks."""
    path = Path(path)
    return (_of_bricks(path, verify), WHOLE) if path.suffix == SUFFIX else _of_file(path, part)


def _of_bricks(path: Path, verify: bool) -> dict[str, Any]:
    opened = Bricks(path)
    fragment = open_volume(path)
    bricks = len(opened.header["crc32"])
    if verify:
        with bar(path.name) as show:
            for done in opened.verifying():
                show(done, bricks)
    extras = " and ".join(opened.header["extras"]) or "neither mask nor labels"
    low, high = sampled(opened)
    row: dict[str, Any] = {
        "name": str(path),
        "kind": "bricks",
        "fingerprint": fragment.fingerprint,
        "shape": opened.shape,
        "dtype": opened.dtype.name,
        "axes": "ZYX",
        "range": [low, high],
        "looked at": "64 cubes",
    }
    if opened.window:
        row["window"] = list(opened.window)
    row |= _areas(fragment.mask, fragment.labels)
    if verify:
        row["checksums"] = f"sound: {bricks} brick{'s' * (bricks != 1)}, {extras}"
    return row | {"yaml": f"data: {{name: {path}}}", "notes": fragment.notes}


def _of_file(path: Path, part: Part) -> tuple[dict[str, Any], Part]:
    notes: list[str] = []
    reader = None
    while reader is None:
        try:
            reader = reader_of(path, part.channel, part.time)
        except Unchosen as error:
            key, many = CHOSEN[error.axis]
            part = Part(**(vars(part) | {key: 0}))
            notes.append(f"{path.name}: the first of several {many} is looked at")
    (low, high), share = _looked_at(reader)
    row: dict[str, Any] = {
        "name": str(path),
        "kind": reader.kind,
        "shape": tuple(reader.shape),
        "dtype": reader.dtype.name,
        "axes": reader.axes,
        "range": [low, high],
        "looked at": "all" if share == 1 else f"the first {share:.1%} of the voxels",
    }
    if reader.spacing:
        row["spacing"] = [float(f"{n:.6g}") for n in reader.spacing]
    mask, of_mask = beside(path, MASKS, strict=False)
    labels, of_labels = beside(path, LABELS)
    row |= _areas(np.ones((1, 1), bool) if mask is None else mask != 0, labels)
    if mask is None:
        notes.append(f"{path.name}: no mask found: every voxel counts")
    keys = {k: v for k, v in vars(part).items() if v is not None}
    notes += [*reader.notes, *of_mask, *of_labels]
    try:
        values: Values | None = values_for(path, reader.dtype, part.window, lambda: (low, high))
    except DataError as error:
        values = None
        keys["range"] = [low, high]
        notes.append(str(error))
    if values and values.note:
        notes.append(f"{path.name}: {values.note}")
    if (
        values
        and not values.window
        and (note := range_note(path.name, values.stored, lambda: (low, high)))
    ):
        keys["range"] = [low, high]
        notes.append(note)
    said = "".join(f", {k}: {_yaml(v)}" for k, v in keys.items())
    row |= {"yaml": f"data: {{name: {path}{said}}}", "notes": notes}
    return row, Part(**keys)


def _areas(mask: np.ndarray, labels: np.ndarray | None) -> dict[str, str]:
    row = {"papyrus": f"{mask.mean():.1%} of the area"}
    if labels is not None:
        area = labels[..., mask] if labels.shape[-2:] == mask.shape else labels
        row["labels"] = f"{'x'.join(map(str, labels.shape))}, {area.mean():.1%} marked"
    return row


def _looked_at(reader: Reader) -> tuple[tuple[float, float], float]:
    """Lowest and highest finite voxel, and the share of the voxels that was looked at."""
    end, seen, low, high = time.monotonic() + BUDGET, 0, math.inf, -math.inf
    total = math.prod(reader.shape)
    for _, part in reader.pieces():
        seen += part.size
        if part.dtype.kind == "f":
            part = part[np.isfinite(part)]
        if part.size:
            low, high = min(low, float(part.min())), max(high, float(part.max()))
        if time.monotonic() > end:
            break
    return (low, high), seen / total


def _yaml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(f'{n:.10g}' for n in value)}]"
    return str(value)
