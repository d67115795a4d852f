"""Are training and validation samples of one kind (K19)? A two-sample test on simple statistics.

Each sample is summed up in a few numbers (mean, standard deviation, deciles); the statistic is the
largest difference of means over the numbers, in pooled standard deviations, and its p-value comes
from permutations of who belongs where, so that nothing is assumed of any distribution. A small
difference is found in any two real sets if one looks long enough: it must be large, too. Samples
that overlap or lie side by side (cubes of one volume) are fewer than they seem: blocks of one
volume differ by a standard deviation and are no fault.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from famulus.diagnosis.controls.bench import Bench, Check, Control
from famulus.diagnosis.controls.samples import FEW, columns, some

NAME = "split"
PERMUTATIONS = 999
LEVEL = 0.002  # p-value; 999 permutations can show .001
LARGE = 1.5  # difference of means in pooled standard deviations
DECILES = np.linspace(0.05, 0.95, 7)


def summary(values_BN: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers of each sample: name to B."""
    v = values_BN.reshape(len(values_BN), -1).astype(np.float64)
    numbers = {"mean": v.mean(1)}
    if v.shape[1] > 1:
        numbers["sd"] = v.std(1)
    if v.shape[1] >= 16:
        deciles = np.quantile(v, DECILES, axis=1)
        numbers |= {f"quantile {q:.2f}": row for q, row in zip(DECILES, deciles, strict=True)}
    return numbers


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
    count, scaled = len(next(iter(train.values()))), table - table.mean(0)
    # The spread of all is the same for every permutation; a pooled one had to be taken anew.
    rng, spread = np.random.default_rng(seed), np.maximum(table.std(0), 1e-12)

    def gap(rows: np.ndarray) -> np.ndarray:
        return np.abs(rows[:count].mean(0) - rows[count:].mean(0))

    within = np.stack([_pooled(table[:count, i], table[count:, i]) for i in range(len(names))])
    d = gap(scaled) / within
    # A permutation that comes to the same counts as equal in spite of rounding.
    least = float((gap(scaled) / spread).max()) - 1e-12
    worse = sum(
        float((gap(scaled[rng.permutation(len(table))]) / spread).max()) >= least
        for _ in range(PERMUTATIONS)
    )
    at = int(d.argmax())
    means = table[:count, at].mean(), table[count:, at].mean()
    # The order at hand is one of them: p is never 0.
    p = (1 + worse) / (1 + PERMUTATIONS)
    own, other = table[:count, at], table[count:, at]
    apart = bool(own.max() < other.min() or other.max() < own.min())
    return Difference(names[at], float(d[at]), p, float(means[0]), float(means[1]), apart)


def _pooled(a: np.ndarray, b: np.ndarray) -> float:
    within = (a.var() * len(a) + b.var() * len(b)) / (len(a) + len(b))
    size = max(float(np.abs(a).max()), float(np.abs(b).max()))
    # Constants that differ by rounding only are not many deviations apart.
    return max(float(np.sqrt(within)), 1e-6 * size, 1e-12)


def split(train: Mapping[str, np.ndarray], validation: Mapping[str, np.ndarray]) -> Control:
    """Tensors by name, samples first, of both parts; those of both are compared."""
    shared = [n for n in train if n in validation and min(len(train[n]), len(validation[n])) > 3]
    if not shared:
        return Control(NAME, "skipped", "fewer than four samples on a side: nothing to compare")
    differences = {n: difference(summary(train[n]), summary(validation[n])) for n in shared}
    name = max(differences, key=lambda n: differences[n].d if differences[n].p <= LEVEL else -1)
    most, counts = differences[name], f"{len(train[name])} and {len(validation[name])} samples"
    figures = {n: vars(d) for n, d in differences.items()}
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


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    parts = (bench.data.train, True), (bench.data.validation, False)
    yield split(*(columns(some(source, FEW, limit_s / 2, own)) for source, own in parts))


CHECK = Check(NAME, run, wanted=lambda bench: 1.5)
