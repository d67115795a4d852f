"""A map of a whole surface, or a whole volume, from overlapping windows; streamed, resumable.

Only one row of windows is in memory. Rows that no later window touches are written at once; a
progress file names the next one, so that an interrupted prediction goes on where it was, and gives
the same map.

Shapes: Z Y X the volume, D H W the window, P planes of the result: 1 for a map (windows then lie
in the middle of the depth unless told), the volume's for a volume.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from famulus.config.errors import ConfigError, DataError
from famulus.tasks.scroll import blend
from famulus.tasks.scroll.cubes import Scale
from famulus.volumes.bricks import Sizes, empty_cubes
from famulus.volumes.open import Fragment

Predict = Callable[[Tensor], Tensor]  # B1DHW to B1HW or BDHW, on the device of the net
RAW, PROGRESS = ".prediction.raw", ".prediction.json"
# a decoder of pictures refuses much larger ones as a bomb
MOST_SHOWN = 80_000_000  # pixels of a PNG
SHOWN_SD = 0.2  # grey levels of a picture for one sd of the voxels


@dataclass(frozen=True)
class How:
    """How windows are laid and averaged. `flips`: 1, 2 or 4 mirrored views of each window."""

    stride: int
    window: str = "hann"
    margin: int = 0
    flips: int = 1
    z: int | None = None
    batch: int = 8


def flipped(predict: Predict, image: Tensor, flips: int) -> Tensor:
    """Mean over mirrored views, each mirrored back."""
    views = [(), (-1,), (-2,), (-2, -1)][:flips]
    return sum(predict(image.flip(v)).flip(v) for v in views) / len(views)


def predict_surface(
    fragment: Fragment,
    size: Sizes,
    scale: Scale,
    predict: Predict,
    how: How,
    folder: Path,
    identity: str,
    device: torch.device | str = "cpu",
    deep: bool = False,
) -> Iterator[tuple[int, int]]:
    """Yields (rows of windows done, of how many); afterwards `finished` gives the result.

    `deep`: `predict` gives all planes of a window, and windows overlap in depth as well.
    `identity` says what predicts: a partial result of something else is begun anew.
    """
    layers, planes = _layers(fragment, size, how, deep)
    canvas = _canvas(fragment, size, how, planes)
    shape = (planes, *canvas.shape)
    # all that decides the voxels: any other setting begins anew
    key = hashlib.sha256(f"{identity}{asdict(how)}{size}{deep}{fragment.fingerprint}".encode())
    key = key.hexdigest()
    done = _resume(folder, key, shape)
    # the map may be larger than memory
    out = np.memmap(folder / RAW, np.float32, "r+" if done else "w+", shape=shape)
    # the first row of windows that reaches below what is written: those above add nothing
    begin = next(i for i, y in enumerate(canvas.rows) if y + size[1] > done or y == canvas.rows[-1])
    canvas.top = int(canvas.rows[begin])
    for row in range(begin, len(canvas.rows)):
        _row(fragment, size, scale, predict, how, canvas, row, layers, device)
        first, finished = canvas.finish(row)
        fresh = max(done, first)  # what was written before lacks nothing
        if first + finished.shape[1] > fresh:
            out[:, fresh : first + finished.shape[1]] = finished[:, fresh - first :]
            # before the note: a note of rows that only the cache holds would survive a crash
            # without them
            out.flush()
            _note(folder, key, first + finished.shape[1])
        yield row + 1, len(canvas.rows)


def check(fragment: Fragment, size: Sizes, how: How, deep: bool = False) -> None:
    """Raises ConfigError if windows can't be laid so: before anything is computed."""
    _canvas(fragment, size, how, _layers(fragment, size, how, deep)[1])


@dataclass(frozen=True)
class WindowLayer:
    """Windows of one depth: `z` in the volume, `first` plane of the result, weights of planes."""

    z: int
    first: int
    weights_P11: np.ndarray


def _layers(fragment: Fragment, size: Sizes, how: How, deep: bool) -> tuple[list[WindowLayer], int]:
    """The depths at which windows lie, and how many planes the result has."""
    whole = fragment.volume.shape[0]
    if how.z is not None and not 0 <= how.z <= whole - size[0]:
        raise ConfigError(f"apply: z: expected 0 to {whole - size[0]}, received {how.z}")
    if size[0] > whole:
        raise ConfigError(f"apply: windows of {size[0]} planes, the volume has {whole}")
    if not deep:
        z = (whole - size[0]) // 2 if how.z is None else how.z
        return [WindowLayer(z, 0, np.ones((1, 1, 1)))], 1
    if how.z is not None:
        return [WindowLayer(how.z, 0, np.ones((size[0], 1, 1)))], size[0]
    try:
        begins = blend.starts(whole, size[0], min(how.stride, size[0]))
        # one margin for all axes, but a shallow window has less to give
        margin = min(how.margin, (size[0] - 1) // 2)
        weights = blend.partition(whole, begins, blend.window(how.window, size[0], margin))
    except ValueError as error:
        raise ConfigError(f"apply: {error}") from None
    layers = [
        WindowLayer(int(z), int(z), w[:, None, None]) for z, w in zip(begins, weights, strict=True)
    ]
    return layers, whole


def _canvas(fragment: Fragment, size: Sizes, how: How, planes: int) -> blend.Canvas:
    if size[1] != size[2]:
        raise ConfigError(f"apply: expected a window with equal sides, received {size}")
    if how.flips not in (1, 2, 4) or how.batch < 1:
        raise ConfigError(f"apply: expected flips 1, 2 or 4 and a batch >= 1, received {how}")
    shape = fragment.volume.shape[1:]
    try:
        return blend.Canvas(shape, size[1], how.stride, how.window, how.margin, planes)
    except ValueError as error:
        raise ConfigError(f"apply: {error}") from None


@torch.no_grad()
def _row(
    fragment: Fragment,
    size: Sizes,
    scale: Scale,
    predict: Predict,
    how: How,
    canvas: blend.Canvas,
    row: int,
    layers: list[WindowLayer],
    device: torch.device | str,
) -> None:
    y = int(canvas.rows[row])
    windows = [(column, layer) for column in range(len(canvas.columns)) for layer in layers]
    for begin in range(0, len(windows), how.batch):
        some = windows[begin : begin + how.batch]
        voxels = empty_cubes(len(some), size, fragment.volume.dtype.newbyteorder("="))
        for out, (column, layer) in zip(voxels, some, strict=True):
            fragment.volume.read((layer.z, y, int(canvas.columns[column])), out)
        # to float32 there: the smaller type travels
        image = torch.from_numpy(voxels).to(device).to(torch.float32)
        image = ((image - scale.mean) / scale.sd).contiguous()[:, None]
        predictions = flipped(predict, image, how.flips).float().cpu().numpy()
        for (column, layer), part_PYX in zip(some, predictions, strict=True):
            canvas.add(row, column, layer.weights_P11 * part_PYX, layer.first)


def finished(folder: Path, shape: Sizes) -> np.ndarray:
    """The complete result PYX, mapped read-only."""
    return np.memmap(folder / RAW, np.float32, "r", shape=shape)


def clear(folder: Path) -> None:
    """Removes the partial files, once the map is stored elsewhere."""
    for name in (RAW, PROGRESS):
        (folder / name).unlink(missing_ok=True)


def _resume(folder: Path, key: str, shape: Sizes) -> int:
    """Rows of the result that an earlier attempt of the same prediction wrote."""
    try:
        noted = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        # a file of another size is a leftover of a crash while it was made
        whole = (folder / RAW).stat().st_size == 4 * math.prod(shape)
        return int(noted["rows"]) if whole and noted["key"] == key else 0
    except (OSError, ValueError, KeyError, TypeError):
        # nothing usable: begun anew, which is always right
        return 0


def _note(folder: Path, key: str, rows: int) -> None:
    partial = folder / (PROGRESS + ".partial")
    partial.write_text(json.dumps({"key": key, "rows": rows}), encoding="utf-8")
    # renamed over: a torn note would be read as one without rows
    os.replace(partial, folder / PROGRESS)


def png(share_YX: np.ndarray) -> Image.Image:
    """Grey levels 0..1 as they are; what is outside is cut off; smaller if it is huge."""
    step = int(np.ceil(np.sqrt(max(1.0, share_YX.size / MOST_SHOWN))))
    shown = np.clip(share_YX[::step, ::step], 0, 1)
    return Image.fromarray((shown * 255).round().astype(np.uint8))


def overlay(plane_YX: np.ndarray, share_YX: np.ndarray, mask_YX: np.ndarray) -> Image.Image:
    """A grey plane with the prediction in red, dimmed outside the mask; smaller if it is huge."""
    step = int(np.ceil(np.sqrt(max(1.0, plane_YX.size / MOST_SHOWN))))
    plane, share = plane_YX[::step, ::step].astype(np.float32), share_YX[::step, ::step]
    # quantiles: one bright grain of sand would darken everything
    low, high = np.quantile(plane, (0.01, 0.99))
    # a constant plane has no range
    grey = np.clip((plane - low) / max(high - low, 1e-6), 0, 1)
    grey = grey * np.where(mask_YX[::step, ::step], 1, 0.35)
    share = np.clip(share, 0, 1) * 0.7
    rgb = np.stack([grey * (1 - share) + share, grey * (1 - share), grey * (1 - share)], -1)
    return Image.fromarray((rgb * 255).round().astype(np.uint8))


def middle_plane(fragment: Fragment, z: int | None = None) -> np.ndarray:
    """The plane in the middle of the volume, or the plane `z`: YX."""
    deep, tall, wide = fragment.volume.shape
    # it would be held whole, and scaled in float32 beside
    if tall * wide > 1 << 30:
        raise DataError(f"{fragment.name}: {tall} x {wide} is too large for one picture")
    plane = np.empty((1, tall, wide), fragment.volume.dtype.newbyteorder("="))
    fragment.volume.read((deep // 2 if z is None else z, 0, 0), plane)
    return plane[0]
