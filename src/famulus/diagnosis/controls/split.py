"""Are training and validation samples of one kind (K19)? A two-sample test on simple statistics.

Each sample is summed up in a few numbers (mean, standard deviation, deciles); the statistic is the
largest difference of means over the numbers, in pooled standard deviations, and its p-value comes
from permutations of who belongs where, so that nothing is assumed of any distribution. A small
difference is found in any two real sets if one looks long enough: it must be large, too. Samples
that overlap or lie side by side (cubes of one volume) are fewer than they seem: blocks of one
volume differ by a standard deviation and are no fault.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from famulus.diagnosis.controls import Control

NAME = "split"
PERMUTATIONS = 999
LEVEL = 0.002  # p-value; 999 permutations can show .001
LARGE = 1.5  # difference of means in pooled standard deviations
RENUMBERED = 0.2  # share of validation that another numbering must make right
DECILES = np.linspace(0.05, 0.95, 7)


def summary(values_BN: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers of each sample: name to B."""
    v = values_BN.reshape(len(values_BN), -1).astype(np.float64)
    found = {"mean": v.mean(1)}
    if v.shape[1] > 1:
        found["sd"] = v.std(1)
    if v.shape[1] >= 16:
        deciles = np.quantile(v, DECILES, axis=1)
        found |= {f"quantile {q:.2f}": row for q, row in zip(DECILES, deciles, strict=True)}
    return found


@dataclass(frozen=True)
class Difference:
    """Where two groups differ most: d in pooled standard deviations, and its p-value."""

    what: str
    d: float
    p: float
    train: float  # mean of that number in each group
    validation: float
    apart: bool  # no sample of one lies among those of the other


def difference(
    train: Mapping[str, np.ndarray], validation: Mapping[str, np.ndarray], seed: int = 0
) -> Difference:
    """The largest difference over all numbers, corrected for their number by permutation."""
    names = list(train)
    table = np.stack([np.concatenate([train[n], validation[n]]) for n in names], 1)
    count, all_ = len(next(iter(train.values()))), len(table)
    scaled = table - table.mean(0)
    within = np.stack([_pooled(table[:count, i], table[count:, i]) for i in range(len(names))])
    d = np.abs(scaled[:count].mean(0) - scaled[count:].mean(0)) / within
    rng, worse = np.random.default_rng(seed), 0
    spread = np.maximum(table.std(0), 1e-12)
    seen = float((np.abs(scaled[:count].mean(0) - scaled[count:].mean(0)) / spread).max())
    for _ in range(PERMUTATIONS):
        mixed = scaled[rng.permutation(all_)]
        gap = np.abs(mixed[:count].mean(0) - mixed[count:].mean(0)) / spread
        worse += float(gap.max()) >= seen - 1e-12
    at = int(d.argmax())
    means = table[:count, at].mean(), table[count:, at].mean()
    p = (1 + worse) / (1 + PERMUTATIONS)
    own, other = table[:count, at], table[count:, at]
    apart = bool(own.max() < other.min() or other.max() < own.min())
    return Difference(names[at], float(d[at]), p, float(means[0]), float(means[1]), apart)


def _pooled(a: np.ndarray, b: np.ndarray) -> float:
    within = (a.var() * len(a) + b.var() * len(b)) / (len(a) + len(b))
    size = max(float(np.abs(a).max()), float(np.abs(b).max()))
    return max(float(np.sqrt(within)), 1e-6 * size, 1e-12)


def split(train: Mapping[str, np.ndarray], validation: Mapping[str, np.ndarray]) -> Control:
    """Tensors by name, samples first, of both parts; those of both are compared."""
    shared = [n for n in train if n in validation and min(len(train[n]), len(validation[n])) > 3]
    if not shared:
        return Control(NAME, "skipped", "fewer than four samples on a side: nothing to compare")
    found = {n: difference(summary(train[n]), summary(validation[n])) for n in shared}
    name = max(found, key=lambda n: found[n].d if found[n].p <= LEVEL else -1)
    most, counts = found[name], f"{len(train[name])} and {len(validation[name])} samples"
    figures = {n: vars(d) for n, d in found.items()}
    text = (
        f"{name}: {most.what} {most.train:.4g} in training, {most.validation:.4g} in validation:"
        f" {most.d:.2g} standard deviations apart, p {most.p:.3g} ({counts})"
    )
    if most.d < LARGE or most.p > LEVEL:
        return Control(NAME, "ok", text, figures=figures)
    ratio = most.train / most.validation if most.validation else 0.0
    scaled = f" (a factor of {ratio:.3g})" if ratio > 8 or 0 < ratio < 1 / 8 else ""
    remedy = "the same scaling for both parts, and a split at random over sources"
    verdict = "failed" if most.apart else "warning"
    return Control(NAME, verdict, text + scaled, remedy, figures, "split-differs")


def labels(
    classes: tuple[Sequence[str] | None, Sequence[str] | None],
    counts: tuple[np.ndarray, np.ndarray],
    confusion: np.ndarray | None = None,
) -> Control:
    """Class lists of both parts, and how many samples bear each label (by position).

    `confusion`: of validation samples, by label (row) and by which class of training has the
    nearest mean (column): numbers that were dealt out anew show as a permutation.
    """
    name, figures = "labels", {"counts": [c.tolist() for c in counts]}
    own, other = (None if c is None else list(c) for c in classes)
    if own != other:
        text = f"training has the classes {_few(own)}, validation {_few(other)}"
        remedy = "one class list for both parts: a label is a position in it"
        return Control(name, "failed", text, remedy, figures, "labels-differ")
    width = max(len(c) for c in counts)
    a, b = (np.pad(c, (0, width - len(c))).astype(np.float64) for c in counts)
    unseen = np.flatnonzero((a == 0) & (b > 0))
    if len(unseen):
        share = b[unseen].sum() / b.sum()
        what = _few([own[i] if own and i < len(own) else i for i in unseen.tolist()])
        text = f"validation has labels that training lacks: {what}, {share:.0%} of its samples"
        remedy = "split within each class, and give both parts one class list"
        return Control(name, "failed", text, remedy, figures, "labels-differ")
    if confusion is not None and confusion.sum():
        rows, columns = linear_sum_assignment(-confusion)
        as_is, best = (
            float(v / confusion.sum())
            for v in (np.trace(confusion), confusion[rows, columns].sum())
        )
        figures |= {"nearest_mean": as_is, "renumbered": best}
        if best > as_is + RENUMBERED and best > 2 * as_is:
            moved = [(r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if r != c]
            what = _few([f"{own[r] if own else r} is {own[c] if own else c}" for r, c in moved])
            text = (
                f"by the nearest class mean {as_is:.0%} of validation is right, {best:.0%} with the"
                f" labels numbered otherwise: {what}"
            )
            remedy = "one class list for both parts: a label is a position in it"
            return Control(name, "failed", text, remedy, figures, "labels-differ")
    distance = float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)
    chance = float(np.sqrt(a / a.sum() * (1 / a.sum() + 1 / b.sum())).sum())  # of equal kinds
    figures |= {"distance": distance, "by_chance": chance}
    text = f"{int((a > 0).sum())} labels; shares differ by {distance:.1%} in all"
    if distance > 0.25 and distance > 3 * chance:
        remedy = "split within each class"
        return Control(name, "warning", text, remedy, figures, "split-differs")
    return Control(name, "ok", text, figures=figures)


def _few(names: Sequence[object] | None, shown: int = 4) -> str:
    if names is None:
        return "none"
    return ", ".join(map(str, names[:shown])) + (", ..." if len(names) > shown else "")
