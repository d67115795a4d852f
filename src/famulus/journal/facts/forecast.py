"""Where runs will end: the band on a curve, a sentence for the page, and how good such words were.

The law is in diagnosis/foresight/forecast.py. A finished run needs none; its curve judges
earlier ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from famulus.diagnosis.foresight.backtest import Backtest, Curve, backtest
from famulus.diagnosis.foresight.forecast import Forecast, Refusal
from famulus.diagnosis.foresight.run_forecast import budget_of, finished_curve, foresee
from famulus.journal.facts.numbers import figure, percent
from famulus.journal.facts.ranking import better
from famulus.journal.facts.read import read_run
from famulus.journal.facts.record import Record
from famulus.store.run import Run
from famulus.store.store import Store

BAND = 24  # points of the drawn band


def points(record: Record, name: str) -> list[tuple[float, float]]:
    """(inputs, value) of a series; empty where there is none."""
    series = record.series.get(name)
    if series is None:
        return []
    return list(zip(series.inputs.tolist(), series.value.tolist(), strict=True))


def _curves(record: Record) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """val/loss, and the training curve whose shape counts (`run_forecast.shape_of`)."""
    train = points(record, "train/recon") or points(record, "train/total")
    return points(record, "val/loss"), train


def ahead(record: Record, noise_floor: float | None = None) -> Forecast | Refusal:
    """Where val/loss of a run will end; the reason where that can't be said."""
    if record.status in ("finished", "failed"):
        return Refusal(f"the run has {record.status}")
    if better("val/loss", [record]) == "higher":  # the law is that of a loss that falls
        return Refusal("a loss of which higher is better follows no law that is known here")
    return foresee(record.config, record.facts, *_curves(record), noise_floor, record.floors)


def band(record: Record) -> dict[str, list[float]] | None:
    """`inputs`, `low`, `high` from where the run is to its end, for the figure."""
    forecast = ahead(record)
    if isinstance(forecast, Refusal):
        return None
    now, value = points(record, "val/loss")[-1]
    end = budget_of(record.config, record.facts)
    steps = [n / BAND for n in range(BAND + 1)]
    return {
        "inputs": [now + share * (end - now) for share in steps],
        "low": [value + share * (forecast.low - value) for share in steps],
        "high": [value + share * (forecast.high - value) for share in steps],
    }


def words(forecast: Forecast | Refusal) -> str:
    """'ends near .031, with 80 % between .028 and .036', or 'no forecast: why'."""
    if isinstance(forecast, Refusal):
        return f"no forecast: {forecast.reason}"
    low, high = figure(forecast.low), figure(forecast.high)
    return f"ends near {figure(forecast.value)}, with {forecast.level:.0%} between {low} and {high}"


@dataclass(frozen=True)
class Judgement:
    """A backtest over many runs, and the runs that it had to leave out, by reason."""

    result: Backtest | None
    curves: int
    left_out: dict[str, int] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        if self.result is None:
            return {"curves": self.curves, "left_out": self.left_out, "why": "no curve to judge"}
        r = self.result
        return {
            "curves": self.curves,
            "cutoffs": r.cutoffs,
            "median_error": r.error,
            "median_error_of_last_value": r.error_last,
            "error_over_last": r.error / r.error_last if r.error_last else None,
            "interval_covers": r.coverage,
            "refusals": r.refusals,
            "refused": r.refused,
            "left_out": self.left_out,
        }


def judge(records: Iterable[Record]) -> Judgement:
    """Forecasts at 5 to 10 % of every finished run, held against its end."""
    curves: list[Curve] = []
    left_out: dict[str, int] = {}
    for record in records:
        # a child's curve has the settings of two runs
        if record.status != "finished" or record.heir:
            continue
        curve = finished_curve(record.config, record.facts, *_curves(record), floors=record.floors)
        if isinstance(curve, Refusal):
            left_out[curve.reason] = left_out.get(curve.reason, 0) + 1
        else:
            curves.append(curve)
    try:
        return Judgement(backtest(curves), len(curves), left_out)
    except ValueError:  # nothing was answered
        return Judgement(None, len(curves), left_out)


def told(judged: Judgement) -> str:
    """The backtest as lines."""
    facts = judged.json()
    if judged.result is None:
        return f"{facts['curves']} finished curves: {facts['why']}\n"
    lines = [
        f"{facts['cutoffs']} forecasts at 5 to 10 % of {facts['curves']} finished runs",
        f"median error {percent(facts['median_error'])}, where the last value staying errs by"
        f" {percent(facts['median_error_of_last_value'])}",
        f"the 80 % interval held {percent(facts['interval_covers'])} of the ends",
        f"{percent(facts['refusals'])} refused",
        *(f"  {n} x {reason}" for reason, n in facts["refused"].items()),
        *(f"left out, {n} x {reason}" for reason, n in judged.left_out.items()),
    ]
    return "\n".join(lines) + "\n"


def chosen(store: Store, refs: Iterable[str]) -> list[Record]:
    """The runs named, all runs of the experiments named, or all runs of the store."""
    known = store.experiments()
    runs: dict[str, Run] = {}
    for ref in list(refs) or known:
        named = store.runs(ref) if ref in known else [store.find(ref)]
        runs |= {run.id: run for run in named}
    return [read_run(run) for run in runs.values()]


def lines(records: Iterable[Record]) -> list[dict[str, Any]]:
    """What `famulus forecast` tells of each run that is not over: value, low, high, or reason."""
    rows = []
    for record in records:
        if record.status in ("finished", "failed"):
            continue
        end = ahead(record)
        row = {"run": record.id, "cell": record.slug, "inputs": record.inputs, "says": words(end)}
        row["budget"] = budget_of(record.config, record.facts)
        if isinstance(end, Refusal):
            rows.append(row | {"reason": end.reason})
        else:
            rows.append(row | {k: getattr(end, k) for k in ("value", "low", "high", "level")})
    return rows
