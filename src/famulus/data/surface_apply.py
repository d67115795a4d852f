"""What `famulus apply` writes of a whole fragment: a map of ink, or the volume rebuilt.

Shapes: Z Y X the volume, D H W the window, Y X a map. Voxels leave in the units of the input.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from rich.progress import track

from famulus.config.errors import ConfigError
from famulus.data import surface
from famulus.data.bricks import Sizes
from famulus.data.cubes import Scale
from famulus.data.scroll_data import PHANTOM, ScrollPhantom, phantom
from famulus.data.surface_report import against_labels, by_distance, rebuilt, seams
from famulus.data.volumes import Fragment, open_fragment

OPTIONS = (
    *("stride", "window", "margin", "flips", "z", "batch", "threshold", "labels", "mask"),
    "format",
)
FORMATS = ("tif", "npy")


def opened(path: Path, recipe: ScrollPhantom, options: Mapping[str, Any]) -> Fragment:
    """The fragment at `path`, or the phantom that `papyrus-SEED` names."""
    name, _, seed = path.name.partition("-")
    if not path.exists() and name == PHANTOM and seed.isdigit():
        return phantom(recipe.recipe(int(seed))).fragment()
    files = [Path(options[k]) if options.get(k) else None for k in ("labels", "mask")]
    return open_fragment(path, *files)


def how_of(options: Mapping[str, Any], size: Sizes) -> surface.How:
    """Raises ConfigError naming an option that there is not, or a value of the wrong kind."""
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise ConfigError(f"apply: expected {', '.join(OPTIONS)}, received {unknown[0]}")
    if options.get("format", "tif") not in FORMATS:
        raise ConfigError(f"apply: format: expected tif or npy, received {options['format']}")
    found: dict[str, Any] = {"stride": max(1, size[1] // 2)}
    for name in ("stride", "margin", "flips", "z", "batch"):
        value = options.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"apply: {name}: expected a whole number, received {value!r}")
        found[name] = value
    return surface.How(window=str(options.get("window", "hann")), **found)


def ink_map(
    fragment: Fragment,
    size: Sizes,
    scale: Scale,
    predict: surface.Predict,
    how: surface.How,
    out: Path,
    *,
    identity: str,
    threshold: float,
    period: int,
    device: torch.device,
) -> dict[str, Any]:
    """`prediction.tif` (float32, share of ink), `prediction.png`, `overlay.png`; the report.

    `period` is the side of one logit in voxels: seams are judged against places that lie alike.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = surface.predict_surface(
        fragment, size, scale, _as_map(predict), how, out, identity, device
    )
    _watch(rows)
    made = surface.finished(out, (1, *fragment.volume.shape[1:]))[0]
    tifffile.imwrite(out / "prediction.tif", made, compression="zlib")
    surface.png(made).save(out / "prediction.png")
    surface.overlay(surface.middle_plane(fragment), made, fragment.mask).save(out / "overlay.png")
    report = {"averaged": "probabilities", **vars(how), **seams(made, how.stride, period)}
    if fragment.labels is not None and fragment.labels.ndim == 2:
        report |= against_labels(fragment, made, threshold)
        report |= by_distance(fragment, size, scale, predict, device, how.z)
    return _closed(out, report)


def volume(
    fragment: Fragment,
    size: Sizes,
    scale: Scale,
    predict: surface.Predict,
    how: surface.How,
    out: Path,
    *,
    identity: str,
    period: int,
    device: torch.device,
    kind: str = "tif",
) -> dict[str, Any]:
    """`prediction.tif` or `.npy`: the rebuilt voxels, ZYX, in the type and units of the input
    (the planes of one window if `how.z` says which); its middle plane as `prediction.png`.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = surface.predict_surface(
        fragment, size, scale, predict, how, out, identity, device, deep=True
    )
    _watch(rows)
    deep = fragment.volume.shape[0] if how.z is None else size[0]
    made = surface.finished(out, (deep, *fragment.volume.shape[1:]))
    dtype = fragment.volume.dtype.newbyteorder("=")
    _write(out / f"prediction.{kind}", _restored(made, scale, dtype), made.shape, dtype)
    middle = made[deep // 2]
    surface.png(0.5 + surface.SHOWN_SD * middle).save(out / "prediction.png")
    report = {"averaged": "values", **vars(how), **seams(middle, how.stride, period)}
    return _closed(out, report | rebuilt(fragment, made, scale, how.z or 0))


def _as_map(predict: surface.Predict) -> surface.Predict:
    return lambda image: predict(image)[:, None]


def _watch(rows: Iterator[tuple[int, int]]) -> None:
    for _ in track(rows, "rows of windows", total=None, transient=True):
        pass


def _restored(made_ZYX: np.ndarray, scale: Scale, dtype: np.dtype) -> Iterator[np.ndarray]:
    """Planes in the units of the input; whole numbers are rounded and held to their range."""
    for plane in made_ZYX:
        voxels = plane.astype(np.float64) * scale.sd + scale.mean
        if dtype.kind != "f":
            limits = np.iinfo(dtype)
            voxels = np.clip(np.round(voxels), limits.min, limits.max)
        yield voxels.astype(dtype)


def _write(path: Path, planes: Iterator[np.ndarray], shape: Sizes, dtype: np.dtype) -> None:
    """Plane by plane: the volume need not fit into memory."""
    if path.suffix == ".npy":
        whole = np.lib.format.open_memmap(path, "w+", dtype, shape)
        for z, plane in enumerate(planes):
            whole[z] = plane
        whole.flush()
        return
    big = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize > 3 << 30
    with tifffile.TiffWriter(path, bigtiff=big) as file:
        file.write(planes, shape=shape, dtype=dtype, photometric="minisblack", compression="zlib")


def _closed(out: Path, report: dict[str, Any]) -> dict[str, Any]:
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    surface.clear(out)
    return report
