"""What the commands do, as functions: run a file, resume, extend, repeat a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from famulus import tasks
from famulus.config.errors import ConfigError, SettingError
from famulus.config.experiment import Cell, Plan, Settings, read
from famulus.config.scores import directed
from famulus.launch import naming
from famulus.launch.board import Board
from famulus.launch.local import Report, run_cells
from famulus.launch.plan import Ready, again, child, prepare, repetition
from famulus.launch.session import Session
from famulus.launch.workers import Helpers
from famulus.store.run import Run
from famulus.store.secrets import HIDDEN, hidden_path, hidden_values, masked
from famulus.training.optim import check_options
from famulus.training.progress import Calendar

UNITS = {"k": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def read_plan(
    file: str | Path, overrides: Sequence[str], allowed: Sequence[str], name: str | None = None
) -> Plan:
    """The file, or a text with a line break, understood; `name`: that of a text that names none.

    Raises ConfigError with the place of a mistake."""

    # here: the file's schema knows nothing of torch, and a typing error must not wait for the
    # first cell
    def judge(settings: Settings) -> None:
        check_options(settings.training.optimizer)

    plan = read(file, overrides, lambda name: tasks.load(name, allowed), name, judge)
    for cell in plan.cells:
        # folders and tables are named by them, in every store and on every page
        if where := _secret_axis(cell):
            place = plan.document.where(("matrix", where))
            raise ConfigError(
                f"{place}: matrix.{where}: expected values that name a folder, received a secret:"
                " take it out of the matrix"
            )
    return plan


def _secret_axis(cell: Cell) -> str:
    """The axis whose value is a secret by its name, its look or where a setting takes it."""
    taken = hidden_values({k: v for k, v in cell.config.items() if k != "matrix"})
    axes = {k: HIDDEN if hidden_values(v, "weak") & taken else v for k, v in cell.axes.items()}
    return hidden_path(masked(axes))


def run_file(
    session: Session,
    file: Path,
    overrides: Sequence[str],
    *,
    workers: int = 1,
    place: str | None = None,
) -> tuple[Plan, list[Ready], Report]:
    """Trains every cell of an experiment file that is not finished.

    `place`: where it is from, if the file will not stay.
    """
    plan = read_plan(file, overrides, session.modules)
    place = naming.judged(session.store, plan, file, place)
    session.store.begin()  # a store that can't be written to is an error before any data are read
    cells = prepare(session, plan)
    planned = {c.slug: {"id": c.id, "axes": dict(c.axes), "config": c.config} for c in cells}
    # Before the first cell: what was asked is on record even if nothing is trained.
    expect = next((cell.config.get("expect") or [] for cell in cells), [])
    session.store.plan(plan.name, plan.text, planned, expect, plan.overrides)
    session.store.note_source(plan.name, place)
    helpers = Helpers(workers - 1, file, overrides, session)
    with Board(session.console, session.silent) as board, helpers:
        report = run_cells(session, cells, board, workers=workers)
        if report.interrupted:
            helpers.stop()
    return plan, cells, report


def go_on(
    session: Session,
    run: Run,
    overrides: Sequence[str],
    *,
    step: int | None = None,
    kind: str = "resume",
) -> tuple[Ready, Report]:
    """The same run, or with overrides (or from an earlier step) a child of it."""
    if overrides or step is not None:
        start = step if step is not None else run.step_of("last")
        cell = child(session, run, start, overrides, kind)
        _something_left(cell, run, start)
    else:
        done = run.done()
        if done is not None:
            raise ConfigError(
                f"run {run.id} is {done['status']} at {done['inputs']:,} inputs; famulus extend"
                f" {run.id} --inputs +1M trains on, --set KEY=VALUE forks it at its end"
            )
        cell = again(session, run)
        _watches_the_better_way(cell, run)
    return cell, _train(session, cell)


def _train(session: Session, cell: Ready) -> Report:
    """One cell, which nobody else trains."""
    with Board(session.console, session.silent) as board:
        return run_cells(session, [cell], board, wait=False)


def _watches_the_better_way(cell: Ready, run: Run) -> None:
    """Raises ConfigError where 0.1.0 filled in `min` for a score that is better the other way: such
    a run would keep its worst. A child of it takes the direction from the score."""
    try:
        directed(cell.training, cell.task.SCORES)
    except SettingError as error:
        dotted = ".".join(map(str, error.path))
        raise ConfigError(
            f"run {run.id}: {error}; go on as a run of its own:"
            f" famulus resume {run.id} --set {dotted}=null"
        ) from None


def _something_left(cell: Ready, run: Run, step: int) -> None:
    """Raises ConfigError where a child would begin at the end of its budget."""
    at = run.open_checkpoint(step).state["progress"]["inputs"]
    budget = Calendar(cell.training, len(cell.data.train)).budget
    # said at once: it would be a finished run that has learned nothing
    if at >= budget:
        raise ConfigError(
            f"run {run.id} has seen {at:,} inputs at step {step}, the budget is {budget:,}: nothing"
            " is left to train; raise it with --set training.inputs=N, or go on --from an earlier"
            " step"
        )


def budget_override(session: Session, run: Run, amount: str) -> list[str]:
    """Overrides that give `run` a larger budget: `+1M` more inputs, or `2M` in all."""
    inputs = parse_count(amount)
    cell = again(session, run)
    before = Calendar(cell.training, len(cell.data.train)).budget
    total = before + inputs if amount.startswith("+") else inputs
    if total <= before:
        raise ConfigError(
            f"--inputs {amount}: expected more than the {before:,} inputs that it already has"
        )
    return ["training.epochs=null", f"training.inputs={total}"]  # exactly one of the two may be set


def parse_count(text: str) -> int:
    """`+1M`, `500k`, `2_000_000` as a number of inputs. Raises ConfigError."""
    plain = text.removeprefix("+").replace("_", "")
    factor = UNITS.get(plain[-1:], 1)
    digits = plain[:-1] if plain[-1:] in UNITS else plain
    try:
        count = float(digits) * factor
    except ValueError:
        count = -1.0
    # not (a and b): NaN fails both
    if not (count >= 1 and count == int(count)):
        raise ConfigError(f"--inputs {text}: expected a count, as +1M, 500k or 2_000_000")
    return int(count)


def repeat(session: Session, run: Run) -> tuple[Ready, Report]:
    """`run` once more from the start, as a run of its own."""
    cell = repetition(session, run)
    return cell, _train(session, cell)


def outcome(report: Report, cells: Sequence[Ready]) -> dict[str, Any]:
    """For --json."""
    ids = {cell.slug: cell.id for cell in cells}
    return {
        "cells": [
            {"slug": slug, "id": ids[slug], "status": status, "error": report.errors.get(slug)}
            for slug, status in report.outcomes.items()
        ],
        "interrupted": report.interrupted,
    }
