"""How right forecasts at 5 to 10 % of finished runs were.

Units: errors are relative to the true end, shares are of a budget or of the cut-offs.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from famulus.diagnosis.foresight.forecast import (
    SETTINGS,
    Points,
    Refusal,
    Settings,
    clean,
    forecast,
)
from famulus.schedule import Rate

SHARES = (0.05, 0.06, 0.07, 0.08, 0.09, 0.1)  # of a budget, at which a backtest asks


@dataclass(frozen=True)
class Curve:
    """A finished run, for `backtest`: its curves to the end, and the schedule that it had."""

    val: Points
    rate: Rate
    budget_inputs: float
    train: Points = ()
    noise_floor: float | None = None
    constant: float | None = None  # score of the best constant answer


@dataclass(frozen=True)
class Backtest:
    """Errors are relative to the true end; they and widths are medians over what was answered."""

    cutoffs: int
    refused: dict[str, int]  # by reason, figures in it left out
    error: float
    error_last: float  # of "the last value stays", at the same cut-offs
    coverage: float  # share of ends inside the interval
    width: float  # high over low of the intervals

    @property
    def refusals(self) -> float:
        return sum(self.refused.values()) / self.cutoffs


def backtest(
    curves: Iterable[Curve],
    shares: Sequence[float] = SHARES,
    settings: Settings = SETTINGS,
) -> Backtest:
    """Forecasts at each share of each budget, held against the last validation.

    A cut-off without a validation before it is left out: there is no last value to compare with.
    Raises ValueError if none is answered.
    """
    errors, lasts, inside, widths, cutoffs = [], [], [], [], 0
    refused: dict[str, int] = {}
    for curve in curves:
        end = clean(curve.val)[-1, 1]
        for share in shares:
            limit = share * curve.budget_inputs
            val = [p for p in curve.val if p[0] <= limit]
            train = [p for p in curve.train if p[0] <= limit]
            if not val:
                continue
            cutoffs += 1
            found = forecast(
                val,
                curve.rate,
                curve.budget_inputs,
                curve.noise_floor,
                train=train,
                constant=curve.constant,
                settings=settings,
            )
            if isinstance(found, Refusal):
                # Reasons that differ in their figures alone are one.
                reason = re.sub(r"[-+.\d]*\d[%]?", "#", found.reason)
                refused[reason] = refused.get(reason, 0) + 1
                continue
            errors.append(abs(found.value / end - 1))
            lasts.append(abs(val[-1][1] / end - 1))
            inside.append(found.low <= end <= found.high)
            widths.append(found.high / found.low if found.low > 0 else math.inf)
    if not errors:
        raise ValueError(f"expected a forecast to score, received {cutoffs} cut-offs, all refused")
    error, last, width = (float(np.median(of)) for of in (errors, lasts, widths))
    return Backtest(cutoffs, refused, error, last, float(np.mean(inside)), width)
