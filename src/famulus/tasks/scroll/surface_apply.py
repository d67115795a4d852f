"""What `famulus apply` writes of a whole fragment: a map of ink, or the volume rebuilt.

Shapes: Z Y X the volume, D H W the window, Y X a map. Voxels leave in the units of the input.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch

from famulus.config.apply_options import known, whole
from famulus.config.errors import ConfigError
from famulus.feed.progress import bar, note
from famulus.tasks.scroll import surface
from famulus.tasks.scroll import surface_margin as margin
from famulus.tasks.scroll.cubes import Scale
from famulus.tasks.scroll.data import PHANTOM, ScrollPhantom, phantom
from famulus.tasks.scroll.surface_report import against_labels, profiles, rebuilt, seams
from famulus.volumes.bricks import ArrayVolume, Sizes
from famulus.volumes.open import Fragment, Part, assemble, has_window, located, open_volume

OPTIONS = {
    "stride": "voxels between windows, 1 or more (half a window)",
    "window": "hann, gaussian, linear or constant: how windows are blended (hann)",
    "margin": "voxels cut off each window, 0 or more (0), or auto: measured first",
    "flips": "1, 2 or 4: mirrored passes that are averaged (1)",
    "z": "plane at which windows begin, 0 or more (the middle; of a volume all)",
    "batch": "windows at once, 1 or more (8)",
    "threshold": "fraction from which a pixel is called ink, 0 up to 1 (the model's own)",
    "labels": "file of ink labels to compare with",
    "mask": "file of a mask: what lies outside is left out",
    "format": "of a rebuilt volume: tif or npy (tif)",
    "channel": "which of several channels, from 0",
    "time": "which of several times, from 0",
    "range": "[low, high]: values that become 0 and full range (the run's own)",
}
FORMATS = ("tif", "npy")
# of a plane's scaled voxels, which were of mean 0 and deviation 1 in training, or within 0..1
FAR, SPREAD, SEEN = 2.0, 4.0, 1 / 16


@dataclass(frozen=True)
class Use:
    """What predicts, on what: all that a map and a volume have in common.

    `identity` says which net it is; `period`: voxels after which its output lies alike in its
    grids; `auto`: measure the margin first.
    """

    fragment: Fragment
    size: Sizes
    scale: Scale
    predict: surface.Predict
    how: surface.How
    auto: bool
    identity: str
    period: int
    device: torch.device

    @property
    def first(self) -> int:
        """Plane at which windows of a map begin."""
        whole = self.fragment.volume.shape[0]
        return (whole - self.size[0]) // 2 if self.how.z is None else self.how.z

    def settled(self, *, deep: bool) -> tuple["Use", dict[str, Any]]:
        """With the margin chosen if it is to be, and what was measured for it.

        Raises ConfigError if windows can't be laid as asked.
        """
        surface.check(self.fragment, self.size, self.how, deep)
        if self.fragment.labels is None and not deep:
            if self.auto:
                margin.needs_labels(self.fragment)
            return self, {}
        given = self.fragment, self.size, self.scale, self.predict, self.device, self.how.z
        measured = margin.by_distance(*given, deep=deep)
        if not self.auto:
            return self, measured
        how, why = margin.settled(self.how, measured, self.size[1])
        return replace(self, how=how), measured | {"margin chosen": why}

    def run(self, predict: surface.Predict, out: Path, *, deep: bool) -> None:
        """Predicts all rows of windows, with a bar of progress."""
        out.mkdir(parents=True, exist_ok=True)
        given = self.fragment, self.size, self.scale, predict, self.how, out, self.identity
        with bar("rows of windows") as show:
            for done, total in surface.predict_surface(*given, self.device, deep):
                show(done, total)


def opened(
    path: Path,
    settings: ScrollPhantom,
    options: Mapping[str, Any],
    trained_range: Sequence[float] | None = None,
) -> Fragment:
    """The fragment at `path`, or the phantom that `papyrus-SEED` names.

    `trained_range`: the run's data.range, for a source that brings no window of its own.
    """
    name, _, seed = path.name.partition("-")
    # a path that exists wins: a folder may be called papyrus-3
    if not path.exists() and name == PHANTOM and seed.isdigit():
        if idle := [k for k in ("labels", "mask") if options.get(k)]:
            raise ConfigError(f"apply: option {idle[0]}: {path.name} brings its own: leave it out")
        return phantom(settings.design(int(seed))).fragment()
    files = [located(str(options[k])) if options.get(k) else None for k in ("labels", "mask")]
    numbers = {k: whole(options, k, 0, 0) for k in ("channel", "time") if k in options}
    window = _window(options)
    if window is None and trained_range is not None and not has_window(located(str(path))):
        window = trained_range
    return open_volume(located(str(path)), *files, part=Part(**numbers, range=window))


def _window(options: Mapping[str, Any]) -> Sequence[float] | None:
    """`--range [-1000, 3000]` as two numbers."""
    value = options.get("range")
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(type(n) in (int, float) for n in value):
        raise ConfigError(f"apply: option range: expected [low, high], received {value!r}")
    return tuple(map(float, value))


def of_arrays(values_ZYX: np.ndarray, options: Mapping[str, Any]) -> Fragment:
    """A volume in memory, with `labels` and `mask` of `options` as arrays or tensors."""
    if "format" in options:
        raise ConfigError("apply: format is of files: expected arrays without it")
    parts = {k: options.get(k) for k in ("mask", "labels")}
    arrays = {k: None if v is None else np.asarray(v) for k, v in parts.items()}
    # the name of nothing: a partial result is never continued from memory
    return assemble("the array", ArrayVolume(values_ZYX, ""), arrays["mask"], arrays["labels"])


def note_unlike(fragment: Fragment, scale: Scale, kind: str) -> None:
    """Says if voxels of the middle plane are not of the range that the net was trained on."""
    plane = surface.middle_plane(fragment)
    z = (plane[:: 1 + len(plane) // 512].astype(np.float64) - scale.mean) / scale.sd
    low, high, middle, spread = z.min(), z.max(), z.mean(), z.std()
    if kind == "range":
        like = low >= 0 and SEEN < high <= 1
    else:
        like = abs(middle) < FAR and 1 / SPREAD < spread < SPREAD
    if not like:
        note(
            f"{fragment.name}: voxels of {plane.min():g} to {plane.max():g} (mean"
            f" {plane.mean():.4g}): the net was trained on (voxel - {scale.mean:.4g}) /"
            f" {scale.sd:.4g}, which gives {low:.3g} to {high:.3g} here"
        )


def how_of(options: Mapping[str, Any], size: Sizes) -> tuple[surface.How, bool]:
    """How windows are laid, and whether the margin is to be measured.

    Raises ConfigError naming an option that there is not, or a value of the wrong kind.
    """
    known(options, OPTIONS)
    if options.get("format", "tif") not in FORMATS:
        raise ConfigError(f"apply: format: expected tif or npy, received {options['format']}")
    auto = options.get("margin") == "auto"
    given = {k: v for k, v in options.items() if v is not None and not (auto and k == "margin")}
    least = {"stride": 1, "margin": 0, "flips": 1, "z": 0, "batch": 1}
    found = {k: whole(given, k, 0, n) for k, n in least.items() if k in given}
    # half a window: every place is at most a quarter of a window from some centre
    found = {"stride": max(1, size[1] // 2), **found}
    return surface.How(window=str(options.get("window", "hann")), **found), auto


def ink_map(use: Use, out: Path, threshold: float) -> dict[str, Any]:
    """`prediction.tif` (float32, share of ink), `prediction.png`, `overlay.png`; the report.

    Labels ZYX are compared in the plane in the middle of the windows, as in training.
    """
    fragment, plane = use.fragment, use.first + use.size[0] // 2
    if (
        fragment.labels is not None
        and fragment.labels.ndim == 3
        and 0 <= plane < len(fragment.labels)
    ):
        fragment = replace(fragment, labels=fragment.labels[plane])
    use, measured = replace(use, fragment=fragment).settled(deep=False)
    use.run(lambda image: use.predict(image)[:, None], out, deep=False)
    prediction = surface.finished(out, (1, *fragment.volume.shape[1:]))
    # lossless: the map is read as numbers again
    tifffile.imwrite(out / "prediction.tif", prediction[0], compression="zlib")
    surface.png(prediction[0]).save(out / "prediction.png")
    grey = surface.middle_plane(fragment, plane)
    surface.overlay(grey, prediction[0], fragment.mask).save(out / "overlay.png")
    report = {"averaged": "probabilities", **vars(use.how), "plane": plane}
    report |= seams(profiles(prediction), (1, use.how.stride, use.how.stride), use.period)
    if fragment.labels is not None:
        report |= against_labels(fragment, prediction[0], threshold)
    return _closed(out, report | measured, fragment)


def volume(use: Use, out: Path, kind: str = "tif") -> dict[str, Any]:
    """`prediction.tif` or `.npy`: the rebuilt voxels, ZYX, in the type and units of the input
    (the planes of one window if `how.z` says which); its middle plane as `prediction.png`.
    """
    use, measured = use.settled(deep=True)
    how, fragment, size = use.how, use.fragment, use.size
    use.run(use.predict, out, deep=True)
    deep = fragment.volume.shape[0] if how.z is None else size[0]
    rebuilt_ZYX = surface.finished(out, (deep, *fragment.volume.shape[1:]))
    dtype = fragment.volume.dtype.newbyteorder("=")
    _write(
        out / f"prediction.{kind}",
        _restored(rebuilt_ZYX, use.scale, dtype),
        rebuilt_ZYX.shape,
        dtype,
    )
    surface.png(0.5 + surface.SHOWN_SD * rebuilt_ZYX[deep // 2]).save(out / "prediction.png")
    strides = (min(how.stride, size[0]), how.stride, how.stride)
    report = {
        "averaged": "values",
        **vars(how),
        **seams(profiles(rebuilt_ZYX), strides, use.period),
    }
    report |= rebuilt(fragment, rebuilt_ZYX, use.scale, how.z or 0)
    return _closed(out, report | measured, fragment)


def _restored(made_ZYX: np.ndarray, scale: Scale, dtype: np.dtype) -> Iterator[np.ndarray]:
    """Planes in the units of the input; whole numbers are rounded and held to their range."""
    for plane in made_ZYX:
        # float64: uint16 times sd in float32 would round to other grey levels
        voxels = plane.astype(np.float64) * scale.sd + scale.mean
        if dtype.kind != "f":
            limits = np.iinfo(dtype)
            # clipped before the cast: numpy wraps around without a word
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
    # classic TIFF ends at 4 GiB; compression may not help
    big = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize > 3 << 30
    with tifffile.TiffWriter(path, bigtiff=big) as file:
        file.write(planes, shape=shape, dtype=dtype, photometric="minisblack", compression="zlib")


def _closed(out: Path, report: dict[str, Any], fragment: Fragment) -> dict[str, Any]:
    report |= {"notes": fragment.notes} if fragment.notes else {}
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    # last: until here an interrupted call goes on from the partial files
    surface.clear(out)
    return report
