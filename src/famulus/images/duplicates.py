"""Pictures that are in the training and in the validation part: the same, or nearly.

Each picture is averaged to 8x8 and to 16x16 grey values, mean removed, length 1; the product of two
such rows is their correlation. Pairs alike at 8x8 are looked at again at 16x16. A copy that was
resized, recompressed or made brighter is found; a mirrored or turned one is not.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from famulus.feed.copies import Copies, CopyNote
from famulus.feed.source import Leak
from famulus.images.unit import as_levels

COARSE, FINE = 0.985, 0.995  # correlations at 8x8 and 16x16
MAX_PAIRS = 2_000_000_000  # about ten seconds on one core; beyond, exact copies only
FLAT = 2.0  # standard deviation in grey levels below which a picture has no pattern to compare
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Duplicates:
    """Validation pictures with a twin in training: `exact` and `near` counts, and example pairs.

    `pairs`: int64 P2, (training index, validation index), the closest for each validation picture.
    `complete` is False if there were too many pairs to look for near ones.
    """

    exact: int
    near: int
    pairs: np.ndarray
    complete: bool = True


def _grey(images: np.ndarray) -> Tensor:
    """float32 B1SS in grey levels, S at most 16, from BCHW in uint8 or 0..1."""
    side = min(16, *images.shape[2:])
    blocks = []
    # In pieces: as float32 a whole set takes four times its size.
    for start in range(0, len(images), 512):
        block = as_levels(torch.from_numpy(np.ascontiguousarray(images[start : start + 512])))
        small = adaptive_avg_pool2d(block, side)
        if small.shape[1] == 3:
            small = (small * torch.tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
        blocks.append(small)
    return torch.cat(blocks)


def _rows(grey_B1SS: Tensor, side: int) -> Tensor:
    """float32 B,side*side of mean 0 and length 1; all 0 for a picture without a pattern."""
    rows = adaptive_avg_pool2d(grey_B1SS, min(side, grey_B1SS.shape[-1])).flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    pattern = rows.square().mean(1).sqrt() > FLAT
    return normalize(rows) * pattern[:, None]


def find_duplicates(train: np.ndarray, validation: np.ndarray) -> Duplicates:
    """Compare BCHW with BCHW of one type, uint8 or float32 in 0..1, all pairs."""
    if train.shape[1:] != validation.shape[1:]:
        return Duplicates(0, 0, np.empty((0, 2), np.int64), False)
    exact = _exact(train, validation)
    complete = len(train) * len(validation) <= MAX_PAIRS
    near = _near(train, validation, skip=set(exact)) if complete else {}
    pairs = sorted((t, v) for v, t in {**exact, **near}.items())
    array = np.array(pairs, np.int64).reshape(-1, 2)
    return Duplicates(len(exact), len(near), array, complete)


def find_repeats(images: np.ndarray) -> Duplicates:
    """Compare uint8 BCHW with itself: pictures that an earlier one is like, (earlier, later)."""
    exact = {v: t for v, t in _exact(images, images).items() if t < v}
    complete = len(images) ** 2 <= MAX_PAIRS
    near = _near(images, images, skip=set(exact), earlier=True) if complete else {}
    pairs = sorted((t, v) for v, t in {**exact, **near}.items())
    array = np.array(pairs, np.int64).reshape(-1, 2)
    return Duplicates(len(exact), len(near), array, complete)


def _exact(train: np.ndarray, validation: np.ndarray) -> dict[int, int]:
    """Validation index to the first training index with the same bytes."""
    rows = [np.ascontiguousarray(part).reshape(len(part), -1) for part in (train, validation)]
    # The bits of floats: sums of whole numbers don't depend on their order.
    rows = [r if r.dtype == np.uint8 else r.view(np.int32) for r in rows]
    # A sum with odd weights finds candidates at array speed; the bytes decide.
    weights = np.random.default_rng(0).integers(1 << 40, size=rows[0].shape[1], dtype=np.int64)
    # In pieces: the product works on a copy in int64, eight times the size.
    sums = [
        np.concatenate([r[i : i + 1024] @ weights for i in range(0, len(r), 1024)]) for r in rows
    ]
    # Backwards, so that the first of equal pictures stays.
    first = dict(zip(sums[0][::-1].tolist(), range(len(train) - 1, -1, -1), strict=True))
    found = {}
    for v in np.flatnonzero(np.isin(sums[1], sums[0])).tolist():
        t = first[int(sums[1][v])]
        if np.array_equal(rows[0][t], rows[1][v]):
            found[v] = t
    return found


def _near(
    train: np.ndarray, validation: np.ndarray, skip: set[int], earlier: bool = False
) -> dict[int, int]:
    """Validation index to the training index that is most like it, where that is near enough.

    `earlier`: both are one set, and only a smaller index counts.
    """
    grey_t, grey_v = _grey(train), _grey(validation)
    coarse_t, coarse_v = _rows(grey_t, 8), _rows(grey_v, 8)
    fine_t, fine_v = _rows(grey_t, 16), _rows(grey_v, 16)
    best: dict[int, tuple[float, int]] = {}
    # A block of correlations takes 64 MB.
    block = max(1, 16_000_000 // len(train))
    for start in range(0, len(validation), block):
        alike = coarse_v[start : start + block] @ coarse_t.T
        if earlier:
            alike = alike.tril(start - 1)
        v, t = torch.nonzero(alike > COARSE, as_tuple=True)
        # Pictures of one kind may all be alike: then there are as many hits as pairs.
        for low in range(0, len(v), 1 << 17):
            vs, ts = v[low : low + (1 << 17)] + start, t[low : low + (1 << 17)]
            score = (fine_v[vs] * fine_t[ts]).sum(1)
            keep = score > FINE
            hits = zip(vs[keep].tolist(), ts[keep].tolist(), score[keep].tolist(), strict=True)
            for i, j, value in hits:
                if i not in skip and value > best.get(i, (0.0, 0))[0]:
                    best[i] = (value, j)
    return {v: t for v, (_, t) in best.items()}


class _LeakingCopies(CopyNote, Leak):
    """Of more than one picture in a hundred."""


def duplicate_notes(
    found: Duplicates, train_names: list[str], validation_names: list[str], examples: int = 3
) -> list[str]:
    """No line, or one that counts and names examples."""
    if not len(found.pairs):
        return []
    shown = ", ".join(
        f"{validation_names[v]} = {train_names[t]}" for t, v in found.pairs[:examples].tolist()
    )
    of = len(validation_names)
    copies = Copies(found.exact, found.near, of, len(train_names), tuple(found.pairs[0].tolist()))
    more = f" (correlation above {FINE}), as {shown}; none was removed"
    if len(found.pairs) > 0.01 * of:
        return [_LeakingCopies.of(copies, more + ": scores may flatter")]
    return [CopyNote.of(copies, more)]
