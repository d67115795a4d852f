"""A map of a whole surface from overlapping windows, streamed to disk, resumable.

Only one row of windows is in memory. Rows that no later window touches are written at once; a
progress file names the next one, so that an interrupted prediction goes on where it was, and gives
the same map.

Shapes: Z Y X the volume, D H W the window (z in the middle of the volume unless given), Y X a map.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from famulus.config.errors import ConfigError, DataError
from famulus.data.bricks import Sizes, empty_cubes
from famulus.data.cubes import Scale
from famulus.data.volumes import Fragment
from famulus.ops.blend import Canvas

Predict = Callable[[Tensor], Tensor]  # B1DHW to BHW, on the device of the net
RAW, PROGRESS = ".prediction.raw", ".prediction.json"
MOST_SHOWN = 80_000_000  # pixels of a PNG


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
) -> Iterator[tuple[int, int]]:
    """Yields (rows of windows done, of how many); afterwards `finished` gives the map.

    `identity` says what predicts: a partial map of something else is begun anew.
    """
    canvas = _canvas(fragment, size, how)
    z = (fragment.volume.shape[0] - size[0]) // 2 if how.z is None else how.z
    if not 0 <= z <= fragment.volume.shape[0] - size[0]:
        raise ConfigError(f"apply: z: expected 0 to {fragment.volume.shape[0] - size[0]}")
    key = hashlib.sha256(f"{identity}{asdict(how)}{size}{fragment.fingerprint}".encode())
    key = key.hexdigest()
    done = _resume(folder, key, canvas.shape)
    out = np.memmap(folder / RAW, np.float32, "r+" if done else "w+", shape=canvas.shape)
    begin = next(i for i, y in enumerate(canvas.rows) if y + size[1] > done or y == canvas.rows[-1])
    canvas.top = int(canvas.rows[begin])
    for row in range(begin, len(canvas.rows)):
        _row(fragment, size, scale, predict, how, canvas, row, z, device)
        first, finished = canvas.finish(row)
        fresh = max(done, first)  # what was written before lacks nothing
        if first + finished.shape[1] > fresh:
            out[fresh : first + finished.shape[1]] = finished[0, fresh - first :]
            out.flush()
            _note(folder, key, first + finished.shape[1])
        yield row + 1, len(canvas.rows)


def _canvas(fragment: Fragment, size: Sizes, how: How) -> Canvas:
    if size[1] != size[2]:
        raise ConfigError(f"apply: expected a window with equal sides, received {size}")
    try:
        return Canvas(fragment.volume.shape[1:], size[1], how.stride, how.window, how.margin)
    except ValueError as error:
        raise ConfigError(f"apply: {error}") from None


@torch.no_grad()
def _row(
    fragment: Fragment,
    size: Sizes,
    scale: Scale,
    predict: Predict,
    how: How,
    canvas: Canvas,
    row: int,
    z: int,
    device: torch.device | str,
) -> None:
    y = int(canvas.rows[row])
    for begin in range(0, len(canvas.columns), how.batch):
        columns = range(begin, min(begin + how.batch, len(canvas.columns)))
        voxels = empty_cubes(len(columns), size, fragment.volume.dtype.newbyteorder("="))
        for out, column in zip(voxels, columns, strict=True):
            fragment.volume.read((z, y, int(canvas.columns[column])), out)
        image = torch.from_numpy(voxels).to(device).to(torch.float32)
        image = ((image - scale.mean) / scale.sd).contiguous()[:, None]
        maps = flipped(predict, image, how.flips).float().cpu().numpy()
        for column, map_YX in zip(columns, maps, strict=True):
            canvas.add(row, column, map_YX)


def finished(folder: Path, shape: tuple[int, int]) -> np.ndarray:
    """The complete map, mapped read-only."""
    return np.memmap(folder / RAW, np.float32, "r", shape=shape)


def clear(folder: Path) -> None:
    """Removes the partial files, once the map is stored elsewhere."""
    for name in (RAW, PROGRESS):
        (folder / name).unlink(missing_ok=True)


def _resume(folder: Path, key: str, shape: tuple[int, int]) -> int:
    """Rows of the map that an earlier attempt of the same prediction wrote."""
    try:
        noted = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        whole = (folder / RAW).stat().st_size == shape[0] * shape[1] * 4
        return int(noted["rows"]) if whole and noted["key"] == key else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _note(folder: Path, key: str, rows: int) -> None:
    partial = folder / (PROGRESS + ".partial")
    partial.write_text(json.dumps({"key": key, "rows": rows}), encoding="utf-8")
    os.replace(partial, folder / PROGRESS)


def overlay(plane_YX: np.ndarray, share_YX: np.ndarray, mask_YX: np.ndarray) -> Image.Image:
    """A grey plane with the prediction in red, dimmed outside the mask; smaller if it is huge."""
    step = int(np.ceil(np.sqrt(max(1.0, plane_YX.size / MOST_SHOWN))))
    plane, share = plane_YX[::step, ::step].astype(np.float32), share_YX[::step, ::step]
    low, high = np.quantile(plane, (0.01, 0.99))
    grey = np.clip((plane - low) / max(high - low, 1e-6), 0, 1)
    grey = grey * np.where(mask_YX[::step, ::step], 1, 0.35)
    share = np.clip(share, 0, 1) * 0.7
    rgb = np.stack([grey * (1 - share) + share, grey * (1 - share), grey * (1 - share)], -1)
    return Image.fromarray((rgb * 255).round().astype(np.uint8))


def middle_plane(fragment: Fragment) -> np.ndarray:
    """The plane in the middle of the volume: YX."""
    deep, tall, wide = fragment.volume.shape
    if tall * wide > 1 << 30:
        raise DataError(f"{fragment.name}: {tall} x {wide} is too large for one picture")
    plane = np.empty((1, tall, wide), fragment.volume.dtype.newbyteorder("="))
    fragment.volume.read((deep // 2, 0, 0), plane)
    return plane[0]
