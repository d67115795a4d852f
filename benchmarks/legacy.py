"""Do the losses under the faulty KL rank as those of the tiles journal? Nothing is trained here.

Finished runs of `tiles/legacy-ordering` are read from a store and set beside the journal's rows.
A row is known by (set, filter, size, rate); its filter is blank where nothing was resized, and rows
alike in all four (the journal's replicates, seeds here) are one, with the mean of their losses.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from scipy.stats import spearmanr

from benchmarks.reference_rows import read
from famulus.journal.facts.read import read_run
from famulus.journal.facts.record import Record
from famulus.launch.store import open_store

EXPERIMENT = "tiles/legacy-ordering"
SETS = {"mnist": "mnist", "rpg": "crawl-tiles"}  # the journal's tiles are another game's
FEWEST = 3  # rows that a rank correlation says anything of


class Key(NamedTuple):
    set: str
    filter: str  # empty: nothing was resized
    size: int
    lr: float


def journal_rows() -> dict[Key, float]:
    """The journal's losses at 1,000,000 inputs, of the sets that are here."""
    found: dict[Key, list[float]] = {}
    for axes, loss, _ in read():
        if axes["ds"] in SETS:
            filter = {True: "bilinear", False: "nearest", None: ""}[axes.get("aa")]
            key = Key(SETS[axes["ds"]], filter, axes["res"], axes["lr"])
            found.setdefault(key, []).append(loss)
    return {key: fmean(losses) for key, losses in found.items()}


def our_rows(records: Iterable[Record]) -> tuple[dict[Key, float], int, int]:
    """Our losses, their budget in inputs, and how many finished runs of a smaller one there are."""
    finished = [r for r in records if r.status == "finished" and not r.heir]
    budget = max((r.inputs for r in finished), default=0)
    found: dict[Key, list[float]] = {}
    for record in finished:
        if record.inputs == budget and "val/loss" in record.scores:
            axes = record.axes
            key = Key(axes["set"], axes.get("filter") or "", axes["size"], axes["lr"])
            found.setdefault(key, []).append(record.scores["val/loss"])
    shorter = sum(r.inputs < budget for r in finished)
    return {key: fmean(losses) for key, losses in found.items()}, budget, shorter


def figures(journal: dict[Key, float], ours: dict[Key, float]) -> dict[str, Any]:
    """What both say of the rows that both have."""
    rows = sorted((journal[key], key) for key in journal.keys() & ours.keys())
    lower = {k: ours[k] / ours[k._replace(filter="nearest")] for _, k in rows
             if k.filter == "bilinear" and k._replace(filter="nearest") in ours}  # fmt: skip
    found: dict[str, Any] = {"rows": len(rows), "rows_of_journal": len(journal)}
    found |= {"pairs": len(lower), "bilinear_below_nearest": sum(r < 1 for r in lower.values())}
    found["bilinear_over_nearest"] = [min(lower.values()), max(lower.values())] if lower else None
    if len(rows) < FEWEST:
        found |= {"rank_correlation": None, "why": f"{len(rows)} rows: fewer than {FEWEST}"}
    else:
        ranks = spearmanr([loss for loss, _ in rows], [ours[key] for _, key in rows])
        found["rank_correlation"] = float(ranks.statistic)
    found["table"] = [{**key._asdict(), "journal": loss, "here": ours[key]} for loss, key in rows]
    found["missing"] = [key._asdict() for key in sorted(journal.keys() - ours.keys())]
    return found


def measure(quick: bool, store: Sequence[str] = ()) -> dict[str, Any]:
    """`store`: folders or URLs; else FAMULUS_STORE, else `runs`. `quick` changes nothing."""
    runs = {run.id: run for place in store or [None] for run in open_store(place).runs(EXPERIMENT)}
    ours, budget, shorter = our_rows(map(read_run, runs.values()))
    return {"inputs": budget, "runs_of_fewer_inputs": shorter} | figures(journal_rows(), ours)


def told(found: dict[str, Any]) -> str:
    """The figures, the joined rows as a Markdown table, and what is missing."""
    lines = [f"{name:<24}{value}" for name, value in found.items() if name not in OF_ROWS]
    lines += ["", "| set | filter | size | lr | journal | here |", "|:--|:--|--:|--:|--:|--:|"]
    for row in found["table"]:
        lines.append(f"| {_cell(row)} | {row['journal']:.4f} | {row['here']:.4f} |")
    lines += [f"not there: | {_cell(row)} |" for row in found["missing"]]
    return "\n".join(lines)


OF_ROWS = ("table", "missing")


def _cell(row: dict[str, Any]) -> str:
    name = "tiles" if row["set"] == "crawl-tiles" else row["set"]
    return f"{name} | {row['filter']} | {row['size']} | {row['lr']:g}".replace("|  |", "| |")
