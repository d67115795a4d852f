"""What the runs of an experiment are and have measured, as plain rows; from the store alone."""

from collections.abc import Iterator, Sequence
from typing import Any

from famulus.journal.facts.changes import as_written, flat, varying
from famulus.journal.facts.ranking import Ranking, better, score_names
from famulus.journal.facts.read import read_run
from famulus.journal.facts.record import Record
from famulus.journal.facts.runs import runs_of
from famulus.store.run import Run
from famulus.store.store import Store

Row = dict[str, Any]
SPLITS = ("train", "val", "probe")  # before the slash of a series' name


def rows_of(store: Store, experiment: str) -> list[Row]:
    """A row a run, those of the plan first.

    Columns: id, slug, status, planned (false: of an earlier version of the file, or a repetition),
    `matrix.AXIS`, each setting that differs between the runs by its dotted path, inputs (samples
    seen), seconds, `SCORE` as val/loss (the last) and `best SCORE` (where it is known which way is
    better), `baseline SCORE: NAME`, findings (causes). A name that a run lacks is None.
    """
    runs = runs_of(store, experiment)
    records, planned = list(runs.all), {record.id for record in runs.records}
    axes = dict.fromkeys(axis for record in records for axis in record.axes)
    settings = [path for path in varying(records) if path.split(".")[0] not in ("why", "expect")]
    rankings = [Ranking(score, better(score, records)) for score in score_names(records)]
    baselines = dict.fromkeys(pair for record in records for pair in _baselines(record, rankings))
    rows = []
    for record in records:
        row: Row = {"id": record.id, "slug": record.slug, "status": record.status}
        row["planned"] = record.id in planned
        row |= {f"matrix.{axis}": record.axes.get(axis) for axis in axes}
        leaves = flat(as_written(record.config))
        row |= {path: leaves.get(path) for path in settings}
        row |= {"inputs": record.inputs, "seconds": record.seconds}
        row |= {one.score: record.scores.get(one.score) for one in rankings}
        row |= {f"best {one.score}": _best(record, one) for one in rankings if one.better}
        own = _baselines(record, rankings)
        row |= {f"baseline {score}: {name}": own.get((score, name)) for score, name in baselines}
        rows.append(row | {"findings": causes(record)})
    return rows


def _best(record: Record, ranking: Ranking) -> float | None:
    series = record.series.get(ranking.score)
    return None if series is None else ranking.best(series.value.tolist())


def _baselines(record: Record, rankings: Sequence[Ranking]) -> dict[tuple[str, str], float]:
    return {
        (one.score, str(floor["means"])): float(floor["value"])
        for one in rankings
        for floor in record.floors_of(one.score)
    }


def causes(record: Record) -> list[str]:
    """Of the findings in the order in which they came, each once."""
    return list(dict.fromkeys(str(finding.get("cause")) for finding in record.findings))


def points_of(run: Run) -> Iterator[Row]:
    """What was measured over training, point after point, of a resumed run as one curve.

    Columns: step (optimizer updates), inputs (samples seen), seconds (of training), split (train,
    val or probe), score, value.
    """
    for name, series in read_run(run).series.items():
        before, slash, after = name.partition("/")
        split, score = (before, after) if slash and before in SPLITS else ("train", name)
        for step, inputs, seconds, value in zip(
            series.step.tolist(),
            series.inputs.tolist(),
            series.seconds.tolist(),
            series.value.tolist(),
            strict=True,
        ):
            yield {
                "step": int(step),
                "inputs": int(inputs),
                "seconds": seconds,
                "split": split,
                "score": score,
                "value": value,
            }
