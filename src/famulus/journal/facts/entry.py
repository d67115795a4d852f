"""One journal entry: the facts of an experiment, from the store alone.

`collect(store, experiment)` reads each run once; everything else on the pages is derived from the
parts of the `Entry` that it returns. Nothing here knows HTML, and no clock is read: same store,
same entry.
"""

from dataclasses import dataclass
from functools import partial

from famulus.journal.facts.baselines import baselines_of
from famulus.journal.facts.cells import Cells, cells_of
from famulus.journal.facts.changes import varying
from famulus.journal.facts.cost import Cost, cost_of
from famulus.journal.facts.expect import expectations, scores_of
from famulus.journal.facts.expectation import Expectation
from famulus.journal.facts.findings import CommonFinding, findings_of
from famulus.journal.facts.group import axis_names
from famulus.journal.facts.history import History, history_of
from famulus.journal.facts.lineage import Edge, lineage_of
from famulus.journal.facts.ranking import Ranking, better, ranking, score_names
from famulus.journal.facts.runs import Runs, runs_of
from famulus.journal.facts.table import Table, build
from famulus.store.store import Store


@dataclass(frozen=True)
class Entry:
    """Everything that the pages of one experiment say, part by part; none knows the others."""

    experiment: str
    why: str
    task: str
    runs: Runs
    cells: Cells
    ranking: Ranking  # its score leads: in the headline, the table, the curves
    table: Table  # all columns; `select` it before it is shown
    findings: tuple[CommonFinding, ...]
    baselines: tuple[tuple[str, str], ...]  # what is scored without training, and how much
    expectations: tuple[Expectation, ...]
    edges: tuple[Edge, ...]
    varies: tuple[str, ...]  # dotted settings that differ between cells
    history: History
    cost: Cost


def collect(store: Store, experiment: str) -> Entry:
    """The entry of `experiment` as far as it is known now: running and failed cells too."""
    runs = runs_of(store, experiment)
    records, config = runs.records, runs.config
    current = [e["entry"] for e in runs.expect if not e.get("withdrawn")]
    expected, axes = scores_of(current), axis_names(records)
    cells, scores = cells_of(records), score_names(records)
    order, way = ranking(records, scores, expected=expected), partial(better, records=records)
    return Entry(
        experiment=experiment,
        why=str(config.get("why") or ""),
        task=str(config.get("task") or ""),
        runs=runs,
        cells=cells,
        ranking=order,
        table=build(cells.groups, cells.axes, order, scores, expected),
        findings=findings_of(records),
        baselines=baselines_of(cells),
        expectations=expectations(
            runs.expect, cells.groups, axes, runs.complete, way, runs.overrides
        ),
        edges=tuple(edge for r in records for edge in lineage_of(r)),
        varies=tuple(path for path in varying(records) if path != "training.seed"),
        history=history_of(runs),
        cost=cost_of(records),
    )
