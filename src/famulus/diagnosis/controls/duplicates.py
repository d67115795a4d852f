"""Are validation samples also in the training part, or nearly (K19)? Then scores flatter.

Exact copies by their bytes; near ones by the correlation of small thumbnails.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from famulus.diagnosis.controls.bench import Bench, Check, Control
from famulus.diagnosis.controls.samples import some
from famulus.feed.copies import Copies, CopyNote

NAME = "duplicates"
MANY = 8192  # samples of a split that are compared
SIDE = {1: 64, 2: 12, 3: 6}  # of a thumbnail, by the number of axes
ALIKE = 0.997  # correlation of two thumbnails
MOST = 0.01  # share of validation samples
ALIKE_MOST = 0.05  # likewise, with those that are nearly the same: small pictures of one kind are


def thumbnails(samples: Tensor) -> Tensor:
    """B C ... to rows of mean 0 and length 1; zeros for a sample without a pattern."""
    x = samples.float()
    x = x[:, None] if x.ndim == 2 else x
    axes = min(x.ndim - 2, 3)
    x = x.reshape(len(x), -1, *x.shape[-axes:])
    pools: Any = F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d
    rows = pools[axes - 1](x, tuple(min(SIDE[axes], n) for n in x.shape[2:])).flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    # Blank samples would be compared by their noise alone.
    pattern = (
        rows.norm(dim=1) > 0.02 * samples.float().std().clamp(min=1e-12) * rows.shape[1] ** 0.5
    )
    return F.normalize(rows) * pattern[:, None]


def copies(train: Tensor, validation: Tensor) -> Copies:
    """Every pair of samples, batch first."""
    known = {_digest(row): i for i, row in enumerate(train)}
    twins = {v: known[d] for v, row in enumerate(validation) if (d := _digest(row)) in known}
    exact = len(twins)
    # A few numbers correlate by chance.
    if train.shape[1:] == validation.shape[1:] and train[0].numel() >= 16:
        rows_t, rows_v = thumbnails(train), thumbnails(validation)
        # In pieces: all correlations of two splits at once would take hundreds of megabytes.
        for start in range(0, len(rows_v), 512):
            value, at = (rows_v[start : start + 512] @ rows_t.T).max(1)
            for i in torch.nonzero(value > ALIKE)[:, 0].tolist():
                twins.setdefault(start + i, int(at[i]))
    example = next(((t, v) for v, t in sorted(twins.items())), None)
    return Copies(exact, len(twins) - exact, len(validation), len(train), example)


def _digest(row: Tensor) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(row.cpu().numpy()).tobytes()).digest()


def duplicates(pairs: Copies, note: str = "") -> Control:
    """`note`: what the dataset itself says of them, with names."""
    share = pairs.all / pairs.of
    figures = {name: value for name, value in vars(pairs).items() if name != "example"}
    text = note or pairs.sentence()
    if pairs.example:
        figures["example"] = list(pairs.example)
        if not note:
            text += f", as training {pairs.example[0]} = validation {pairs.example[1]}"
    if pairs.exact <= MOST * pairs.of and share <= ALIKE_MOST:
        return Control(NAME, "ok", text, figures=figures)
    verdict = "failed" if pairs.exact > 10 * MOST * pairs.of else "warning"
    remedy = "remove the copies, or split by source: scores flatter"
    return Control(NAME, verdict, text, remedy, figures, "duplicates-across-split")


def twins(bench: Bench, limit_s: float) -> Copies | None:
    """Of the tensor with most numbers; None where a sample is no picture and no volume."""
    validation = some(bench.data.validation, MANY, limit_s / 3)
    name = max(validation, key=lambda n: validation[n][0].numel())
    if validation[name].ndim < 3 or validation[name].is_complex():
        return None
    train = some(bench.data.train, MANY, limit_s / 3, train=True)
    pairs = copies(train[name], validation[name])
    if pairs.example is None:
        return pairs
    t, v = pairs.example
    return replace(pairs, example=(int(train["index"][t]), int(validation["index"][v])))


def counted(bench: Bench) -> CopyNote | None:
    """What a dataset says that has compared its stored pictures: it knows better than thumbnails
    of samples."""
    return next((note for note in bench.data.notes if isinstance(note, CopyNote)), None)


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    note = counted(bench)
    if note is not None:
        yield duplicates(note.copies, note)
        return
    pairs = twins(bench, limit_s)
    if pairs is None:
        yield Control(NAME, "skipped", "samples are no pictures: nothing to compare")
    else:
        yield duplicates(pairs)


CHECK = Check(NAME, run, wanted=lambda bench: 0.0 if counted(bench) else 3.0)
