"""Pictures as the codes of a finished first stage: encoded once, kept by content hash.

Shapes: codes B Y X H, int32 in storage and int64 in a batch; K marks padding.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import DataError
from famulus.feed.progress import parts
from famulus.feed.source import Source

ENCODE_BATCH = 64  # pictures at once, fewer of those that are large:
ENCODE_PIXELS = 1 << 20


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """sha256 over names, shapes and values: another first stage, another digest."""
    whole = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        whole.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        # As bytes: NumPy has no bfloat16.
        whole.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def cache_folder() -> Path:
    """`famulus/codes` in the user's cache; deleting it costs an encoding, nothing else."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "famulus" / "codes"


@dataclass(frozen=True)
class FirstStage:
    """What a finished first stage does to a batch, and what comes out.

    `encode(batch, device)` gives codes B Y X H of a finished batch; `digest` stands for the whole
    net: its weights and settings.
    """

    encode: Callable[[Mapping[str, Tensor], torch.device], Tensor]
    shape: tuple[int, ...]  # of one picture's codes: Y X H
    size: int  # K
    digest: str


class Encoded(Source):
    """Codes of every picture of `source` under a first stage: a `Source` itself.

    Encoded at the first gather, on the device that `to` named; stored under a hash of the
    pictures' fingerprint and the stage's `digest`, so that a changed first stage starts anew.
    """

    fingerprint: str
    labels: np.ndarray | None
    classes: Sequence[str] | None

    def __init__(self, source: Source, stage: FirstStage) -> None:
        self.source, self.stage, self.size = source, stage, stage.size
        # of what goes in, so that it is known without encoding a picture
        text = json.dumps([source.fingerprint, stage.digest])
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.labels, self.classes = source.labels, source.classes
        self._device = torch.device("cpu")

    def __len__(self) -> int:
        return len(self.source)

    @property
    def file(self) -> Path:
        return cache_folder() / f"{self.fingerprint}.npz"

    @property
    def shape(self) -> tuple[int, ...]:
        """Y X H of a picture's codes, known without encoding one."""
        return self.stage.shape

    @cached_property
    def codes(self) -> np.ndarray:
        """int32 B Y X H of the whole set."""
        shape = (len(self), *self.stage.shape)
        # encoding costs a pass of the first stage over the whole set
        if (stored := _read(self.file, shape, self.size)) is not None:
            return stored
        codes = np.empty(shape, np.int32)
        what = f"pictures through the first stage on {self._device}"
        for part in parts(len(self), encoded_at_once(self.source.shape), what):
            index = np.arange(part.start, part.stop)
            # no augmentation: a picture has one code
            seeds = np.zeros(len(index), np.uint64)
            raw = {k: v.to(self._device) for k, v in self.source.gather(index, seeds).items()}
            batch = self.source.finish(raw, seeds)
            codes[index] = self.stage.encode(batch, self._device).cpu().numpy()
        _write(self.file, codes)
        return codes

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        batch = {"codes": torch.from_numpy(self.codes[indices])}
        if self.labels is not None:
            batch["label"] = torch.from_numpy(self.labels[indices])
        return batch

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        return {name: value.long() for name, value in batch.items()}

    def to(self, device: torch.device) -> "Encoded":
        """Itself; from now on it encodes there."""
        self._device = torch.device(device)
        return self


def encoded_at_once(shape: tuple[int, ...]) -> int:
    """How many pictures CYX pass the first stage together."""
    return max(1, min(ENCODE_BATCH, ENCODE_PIXELS // math.prod(shape[1:])))


def _read(path: Path, shape: tuple[int, ...], size: int) -> np.ndarray | None:
    """Stored codes, or None if there are none or they are damaged."""
    try:
        # opened here, so that it is closed even where numpy gives up on a damaged file
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            codes = stored["codes"]
    except (OSError, ValueError, KeyError, EOFError):
        return None
    except Exception:  # a truncated zip raises its own errors
        return None
    sound = codes.shape == shape and codes.dtype == np.int32
    # K itself marks padding, so it may stand there
    return codes if sound and codes.min() >= 0 and codes.max() <= size else None


def _write(path: Path, codes: np.ndarray) -> None:
    """A full disk costs the cache, not the run."""
    # By process: two of them may encode the same set.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            np.savez_compressed(file, codes=codes)
        # whole or not at all: another process may be reading
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)


class Levels(Source):
    """Grey levels of pictures as codes, one a channel: a `Source` that needs no first stage.

    `levels` = 2 binarises: a fixed threshold at one half, or, `stochastic`, a fresh draw with the
    grey value as its probability (training), which is how binarised digits are often compared.
    """

    fingerprint: str
    labels: np.ndarray | None
    classes: Sequence[str] | None

    def __init__(self, source: Source, levels: int, stochastic: bool = False) -> None:
        if stochastic and levels != 2:
            raise DataError(f"stochastic binarisation has 2 levels, received {levels}")
        self.source, self.size, self.stochastic = source, levels, stochastic
        self.labels, self.classes = source.labels, source.classes
        text = json.dumps([source.fingerprint, "levels", levels, stochastic])
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def shape(self) -> tuple[int, ...]:
        """Y X H of a picture's codes: one for each colour."""
        channels, *sides = self.source.shape
        return (*sides, channels)

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        return self.source.gather(indices, seeds)

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        batch = self.source.finish(batch, seeds)
        drawn = seeds if self.stochastic else None
        batch["codes"] = level_codes(batch.pop("image"), batch.pop("mask", None), self.size, drawn)
        return batch

    def to(self, device: torch.device) -> "Levels":
        moved = self.source.to(device)
        return self if moved is self.source else Levels(moved, self.size, self.stochastic)


def level_codes(
    image_BCYX: Tensor, mask_B1YX: Tensor | None, size: int, seeds: np.ndarray | None = None
) -> Tensor:
    """Codes BYXC of pictures in grey ranges, `size` in the padding; with `seeds` B a fresh draw of
    0 or 1, with the grey value as the chance of 1."""
    grey = image_BCYX.movedim(1, -1)
    if seeds is not None:
        drawn = [
            # a generator a picture, on the CPU: the same cut in any batch and on any device
            np.random.default_rng(int(seed)).random(grey[0].numel(), np.float32)
            for seed in np.asarray(seeds).tolist()
        ]
        chance = torch.from_numpy(np.stack(drawn)).view(grey.shape).to(grey.device)
        codes = (chance < grey).long()
    else:
        # white itself would be one level too many
        codes = (grey * size).long().clamp(max=size - 1)
    if mask_B1YX is not None:
        codes = codes.masked_fill(mask_B1YX.movedim(1, -1) == 0, size)
    return codes


def code_counts(source: Source, size: int, batch: int = 512) -> Tensor:
    """How often each code stands as a place's code h, padding left out: int64 H x K."""
    total: Tensor | None = None
    for start in range(0, len(source), batch):
        index = np.arange(start, min(start + batch, len(source)))
        seeds = index.astype(np.uint64)
        codes = source.finish(source.gather(index, seeds), seeds)["codes"].cpu()
        flat = codes.reshape(-1, codes.shape[-1])
        counts = torch.stack([torch.bincount(column, minlength=size + 1) for column in flat.t()])
        total = counts if total is None else total + counts
    if total is None:
        raise DataError("expected at least one picture, received none")
    return total[:, :size]
