"""Which axis of a matrix explains a score: a small analysis of variance of main effects.

Sums of squares are type II: what an axis explains beyond all other axes, by least squares. On a
balanced matrix they equal type I in any order, and the shares add up. On an unbalanced one they
don't: the rest can't be told apart. An axis is compared only over rows where it applies:
rows in which any analysed axis is blank (None: no resize happened, so no filter) are left out of
the sums, since they could only stand for their own set and size; their replicates still count
in the noise.

Source: Langsrud 2003, "ANOVA for unbalanced data", doi:10.1023/A:1023260610025.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from famulus.journal.facts.numbers import number

Sample = Mapping[str, Any]
# a share known to 2.5 %, for a sentence that only asks whether it is below 95 %
DRAWS = 400
_key = repr  # of a matrix value, comparable and hashable: 1, 1.0 and "1" differ


@dataclass(frozen=True)
class Effect:
    """One axis. `share` = eta^2 = its sum of squares / the total; `means` adjusted for the others.

    On the log scale `means` are geometric, and `span` is largest / smallest - 1; else their
    difference.
    """

    axis: str
    df: int
    share: float
    f: float | None  # None without degrees of freedom for the residual
    p: float | None
    means: dict[Any, float]
    span: float


@dataclass(frozen=True)
class Replicates:
    """Spread between rows with the same value on every axis: the noise. `sd` is relative on the
    log scale; `df` rows beyond the first of each group; None if nothing was repeated."""

    groups: int
    df: int
    sd: float | None


@dataclass(frozen=True)
class Analysis:
    score: str
    log: bool
    rows: int  # analysed
    blank: int  # left out because an axis does not apply
    effects: tuple[Effect, ...]  # the largest share first
    residual_df: int
    residual_share: float  # interactions and noise
    replicates: Replicates
    lead: float | None  # share of resampled residuals in which the first axis stays first


def analyse(
    rows: Sequence[Sample], score: str, axes: Sequence[str], log: bool | None = None
) -> Analysis:
    """Main effects of `axes` on `score`; `log` None takes logarithms if all scores are positive.

    Rows without a finite score are left out. Raises ValueError if fewer than 3 rows are left, if
    none of the axes varies, or if `log` is asked for scores that are not positive.
    """
    rows = [row for row in rows if number(row.get(score))]
    values = np.array([float(row[score]) for row in rows])
    if log is None:
        # losses differ by factors: on the log scale an axis has the same effect on small and large
        # ones
        log = bool(len(values)) and bool((values > 0).all())
    if log and (values <= 0).any():
        raise ValueError(f"expected positive scores for logarithms, received {values.min():g}")
    y_all = np.log(values) if log else values
    varying = [a for a in axes if len({_key(row.get(a)) for row in rows} - {_key(None)}) > 1]
    # of the axes that vary: one that nobody set must not empty the table
    full = np.array([all(row.get(a) is not None for a in varying) for row in rows], bool)
    kept = [row for row, ok in zip(rows, full, strict=True) if ok]
    used = [a for a in varying if len({_key(row[a]) for row in kept}) > 1]
    if len(kept) < 3 or not used:
        raise ValueError(
            f"expected at least 3 rows and an axis that varies, received {len(kept)} complete rows "
            f"and axes {list(axes)}"
        )
    y = y_all[full]
    levels = {a: list({_key(row[a]): row[a] for row in kept}.values()) for a in used}
    model = _Model(kept, used, levels)
    total = float(((y - y.mean()) ** 2).sum())
    # all scores equal: nothing to share out, and no division by 0
    scale = total if total > 0 else 1.0
    rss = float(model.residual_squares(y))
    residual_df = len(y) - model.rank
    mean_square = rss / residual_df if residual_df > 0 else None
    effects = []
    for axis in used:
        df, squares = model.df(axis), float(model.axis_squares(axis, y))
        # nothing is left once the others are known: named as confounded, not given a share of 0
        if df == 0:
            continue
        f = squares / df / mean_square if mean_square else None
        means = model.means(axis, y)
        shown = {k: float(np.exp(v)) if log else float(v) for k, v in means.items()}
        low, high = min(shown.values()), max(shown.values())
        p = _tail(df, residual_df, f) if f is not None else None
        span = high / low - 1 if log else high - low
        effects.append(Effect(axis, df, squares / scale, f, p, shown, span))
    effects.sort(key=lambda effect: -effect.share)
    # over all rows: replicates of a cell that was left out are noise as well
    noise, noise_df, groups = _noise(rows, y_all, axes)
    names = [effect.axis for effect in effects]
    return Analysis(
        score=score,
        log=log,
        rows=len(kept),
        blank=len(rows) - len(kept),
        effects=tuple(effects),
        residual_df=residual_df,
        residual_share=rss / scale,
        replicates=Replicates(groups, noise_df, (noise / noise_df) ** 0.5 if noise_df else None),
        lead=_lead(model, y, names) if len(names) > 1 and residual_df > 0 else None,
    )


class _Model:
    """Least squares on an intercept and one 0/1 column a level, of some axes."""

    def __init__(self, rows: Sequence[Sample], axes: list[str], levels: dict[str, list]) -> None:
        self.axes, self.levels, n = axes, levels, len(rows)
        keys = {a: [_key(level) for level in levels[a]] for a in axes}
        self._columns = {
            a: np.array([[_key(row[a]) == k for k in keys[a]] for row in rows], float) for a in axes
        }
        self._bases = {a: self._basis(n, [b for b in axes if b != a]) for a in axes}
        self._full = self._basis(n, axes)
        self.rank = self._full.shape[1]

    def _design(self, n: int, axes: list[str]) -> np.ndarray:
        # sums to zero: the last level is minus the others, so that means weigh levels equally
        parts = [self._columns[a][:, :-1] - self._columns[a][:, -1:] for a in axes]
        return np.concatenate([np.ones((n, 1)), *parts], axis=1)

    def _basis(self, n: int, axes: list[str]) -> np.ndarray:
        """Orthonormal columns that span the design."""
        u, s, _ = np.linalg.svd(self._design(n, axes), full_matrices=False)
        # rank by singular values: cells missing from a matrix make columns depend on each other
        return u[:, s > 1e-9 * s[0]]

    def fitted(self, y: np.ndarray) -> np.ndarray:
        return self._full @ (self._full.T @ y)

    def residual_squares(self, y: np.ndarray) -> np.ndarray:
        """Over the first axis of `y`; further axes are draws."""
        return ((y - self.fitted(y)) ** 2).sum(0)

    def df(self, axis: str) -> int:
        return self.rank - self._bases[axis].shape[1]

    def axis_squares(self, axis: str, y: np.ndarray) -> np.ndarray:
        """Type II: what the fit loses without `axis`."""
        # on orthonormal columns a fit is a projection: its sum of squares needs no inverse
        without = self._bases[axis].T @ y
        return ((self._full.T @ y) ** 2).sum(0) - (without**2).sum(0)

    def means(self, axis: str, y: np.ndarray) -> dict[Any, float]:
        """Of each level, with every other axis at the plain average of its levels."""
        # lstsq: a design without full rank has no inverse
        weights = np.linalg.lstsq(self._design(len(y), self.axes), y, rcond=None)[0]
        at, first = {}, 1
        for a in self.axes:
            effects = weights[first : first + len(self.levels[a]) - 1]
            first += len(effects)
            if a == axis:
                own = [*effects, -effects.sum()]
                names = [k if isinstance(k, Hashable) else _key(k) for k in self.levels[a]]
                at = {k: weights[0] + v for k, v in zip(names, own, strict=True)}
        return at


def _lead(model: _Model, y: np.ndarray, names: list[str]) -> float:
    """Residual bootstrap: how often the first axis keeps the largest sum of squares."""
    fitted = model.fitted(y)
    # a fit makes residuals smaller than the errors; this gives their size back
    residual = (y - fitted) * (len(y) / (len(y) - model.rank)) ** 0.5
    # a fixed seed: the same runs give the same sentence
    draws = np.random.default_rng(0).choice(residual, size=(len(y), DRAWS))
    squares = np.stack([model.axis_squares(a, fitted[:, None] + draws) for a in names])
    return float((squares.argmax(0) == 0).mean())


def _noise(rows: Sequence[Sample], y: np.ndarray, axes: Sequence[str]) -> tuple[float, int, int]:
    """(sum of squares, degrees of freedom, groups) between rows equal on every axis."""
    groups: dict[tuple, list[float]] = {}
    for row, value in zip(rows, y, strict=True):
        groups.setdefault(tuple(_key(row.get(a)) for a in axes), []).append(value)
    repeated = [np.array(group) for group in groups.values() if len(group) > 1]
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in repeated)
    return squares, sum(len(group) - 1 for group in repeated), len(repeated)


def _tail(df: int, residual_df: int, f: float) -> float:
    from scipy.special import fdtrc  # slow to import

    return float(fdtrc(df, residual_df, f))
