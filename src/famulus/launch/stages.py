"""Which run a first stage names. It has finished, or a step of it is asked for by its number.

What stands on half-trained weights looks like any other run, and is one only by accident; a run
that has yet to end also answers `best` and `last` differently from one day to the next.
"""

from typing import Any

from famulus.config.errors import ConfigError
from famulus.store import index, records
from famulus.store.run import Run
from famulus.store.store import Store


def first_stage(store: Store, key: str, asked: str) -> str:
    """RUN@WHICH of `last`, `last:EXPERIMENT` or RUN, each with or without @WHICH.

    `last` is the newest finished run, without an experiment that of the task named `key`.
    Raises ConfigError for a run that has not finished, StoreError if there is none.
    """
    ref, at, which = asked.partition("@")
    if ref == "last" or ref.startswith("last:"):
        run = _newest(store, key, ref.partition(":")[2]) or store.find(ref)
    else:
        run = store.find(ref)
    if run.status() != "finished" and not which.isdigit():
        raise ConfigError(f"{key}: {asked}: {_unfinished(run)}")
    return run.id + at + which


def _newest(store: Store, task: str, experiment: str) -> Run | None:
    """The run that began last, a finished one if there is any."""
    rows = [row for row in store.rows(experiment or None) if row["error"] is None]
    # a finished one wins even if a newer one is under way
    rows.sort(key=lambda row: (row["status"] == "finished", records.seconds(row["started"])))
    for row in reversed(rows):
        run = store.run(row["experiment"], row["slug"], row["id"])
        # without an experiment the newest of any task would be taken
        if experiment or run.config().get("task") == task:
            return run
    return None


def _unfinished(run: Run) -> str:
    """How far it is, and what to do."""
    status, steps = run.status(), run.checkpoints()
    inputs = index.summary(run).get("inputs") or 0
    whole = _budget(run)
    far = f"{inputs:,} of {whole:,} inputs" if whole else f"{inputs:,} inputs"
    is_so = {"running": "is running, at", "planned": "has not begun:"}.get(status, "ended at")
    what = "wait for it" if status == "running" else f"finish it: famulus resume {run.id}"
    named = f", or name {run.id}@{steps[-1]}" if steps else ""
    return f"expected a finished run, received {run.id}, which {is_so} {far}; {what}{named}"


def _budget(run: Run) -> int | None:
    """Inputs that it is to see, as it said at its start."""
    facts: dict[str, Any] = {}  # of the start, and what was concluded later
    for event in run.events():
        facts |= event if event["kind"] == "facts" else {}
    return facts.get("budget") if facts else run.config()["training"].get("inputs")
