"""Do both parts mean the same by a label (K19)? Class lists, shares, the order of classes."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from famulus.diagnosis.controls.bench import Bench, Check, Control
from famulus.diagnosis.controls.samples import FEW, columns, some

NAME = "labels"
RENUMBERED = 0.2  # share of validation that another numbering must make right


def labels(
    classes: tuple[Sequence[str] | None, Sequence[str] | None],
    counts: tuple[np.ndarray, np.ndarray],
    confusion: np.ndarray | None = None,
) -> Control:
    """Class lists of both parts, and how many samples bear each label (by position).

    `confusion`: of validation samples, by label (row) and by which class of training has the
    nearest mean (column): numbers that were dealt out anew show as a permutation.
    """
    figures: dict[str, Any] = {"counts": [c.tolist() for c in counts]}
    own, other = (None if c is None else list(c) for c in classes)
    if own != other:
        text = f"training has the classes {_few(own)}, validation {_few(other)}"
        remedy = "one class list for both parts: a label is a position in it"
        return Control(NAME, "failed", text, remedy, figures, "labels-differ")
    width = max(len(c) for c in counts)
    a, b = (np.pad(c, (0, width - len(c))).astype(np.float64) for c in counts)
    unseen = np.flatnonzero((a == 0) & (b > 0))
    if len(unseen):
        share = b[unseen].sum() / b.sum()
        what = _few([own[i] if own and i < len(own) else i for i in unseen.tolist()])
        text = f"validation has labels that training lacks: {what}, {share:.0%} of its samples"
        remedy = "split within each class, and give both parts one class list"
        return Control(NAME, "failed", text, remedy, figures, "labels-differ")
    if confusion is not None and confusion.sum():
        rows, columns = linear_sum_assignment(-confusion)  # it minimises
        as_is, best = (
            float(v / confusion.sum())
            for v in (np.trace(confusion), confusion[rows, columns].sum())
        )
        figures |= {"nearest_mean": as_is, "renumbered": best}
        # both: a nearest mean is a weak judge, and a permutation is always at least as good
        if best > as_is + RENUMBERED and best > 2 * as_is:
            moved = [(r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if r != c]
            what = _few([f"{own[r] if own else r} is {own[c] if own else c}" for r, c in moved])
            text = (
                f"by the nearest class mean {as_is:.0%} of validation is right, {best:.0%} with the"
                f" labels numbered otherwise: {what}"
            )
            remedy = "one class list for both parts: a label is a position in it"
            return Control(NAME, "failed", text, remedy, figures, "labels-differ")
    distance = float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)
    chance = float(np.sqrt(a / a.sum() * (1 / a.sum() + 1 / b.sum())).sum())  # of equal kinds
    figures |= {"distance": distance, "by_chance": chance}
    text = f"{int((a > 0).sum())} labels; shares differ by {distance:.1%} in all"
    # both: in small sets shares differ by a lot for no reason
    if distance > 0.25 and distance > 3 * chance:
        remedy = "split within each class"
        return Control(NAME, "warning", text, remedy, figures, "split-differs")
    return Control(NAME, "ok", text, figures=figures)


def _few(names: Sequence[object] | None, shown: int = 4) -> str:
    if names is None:
        return "none"
    return ", ".join(map(str, names[:shown])) + (", ..." if len(names) > shown else "")


def class_counts(bench: Bench) -> tuple[tuple, tuple[np.ndarray, np.ndarray]] | None:
    """Class lists and labels' counts of both parts, or None where a sample has none."""
    sources = bench.data.train, bench.data.validation
    own = [s.labels for s in sources]
    own = [v for v in own if v is not None and np.ndim(v) == 1]
    if len(own) < 2 or "target" in bench.frozen:  # something else is learned
        return None
    classes = tuple(s.classes for s in sources)
    train, validation = (np.bincount(v[v >= 0]) for v in own)
    return (classes, (train, validation)) if train.sum() and validation.sum() else None


def confusion_of(bench: Bench, limit_s: float) -> np.ndarray | None:
    """Validation labels (rows) against the class of training with the nearest mean (columns).

    Samples that lie farther from every mean than training's do are of no class: they do not count.
    """
    train, held = (
        some(source, 2 * FEW, limit_s / 2) for source in (bench.data.train, bench.data.validation)
    )
    pictures = [n for n, v in train.items() if v.is_floating_point() and v.ndim > 2]
    if "label" not in train or train["label"].ndim != 1 or not pictures:
        return None
    name = max(pictures, key=lambda n: train[n][0].numel())
    x, y = (columns({name: part[name]})[name].astype(np.float64) for part in (train, held))
    own, other = train["label"].numpy(), held["label"].numpy()
    count = int(max(own.max(), other.max())) + 1
    far, near = (np.full((len(v), count), np.inf) for v in (y, x))
    for label in np.unique(own[own >= 0]):
        mean = x[own == label].mean(0)
        far[:, label], near[:, label] = (((v - mean) ** 2).sum(1) for v in (y, x))
    table = np.zeros((count, count))
    known = (other >= 0) & (far.min(1) <= near.min(1).max())
    # most lie elsewhere: that is another finding, and this table would be noise
    if known.sum() < (other >= 0).sum() / 2:
        return None
    np.add.at(table, (other[known], far.argmin(1)[known]), 1)
    return table


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    counts = class_counts(bench)
    if counts is not None:
        yield labels(*counts, confusion_of(bench, limit_s))


CHECK = Check(NAME, run, wanted=lambda bench: 0.5)
