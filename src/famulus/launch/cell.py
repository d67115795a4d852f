"""One cell from claim to done: attempts, roll-backs, lineage, facts, verdict."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from famulus.config.errors import FamulusError, StoreError
from famulus.config.scores import as_json
from famulus.diagnosis.history import History, from_events
from famulus.diagnosis.verdict import judge
from famulus.feed.copies import CopyNote
from famulus.feed.source import Leak
from famulus.launch.plan import ORIGIN, Ready, basis_of
from famulus.launch.session import Session
from famulus.store import lineage
from famulus.store.attempt import Attempt
from famulus.store.claims import claim
from famulus.store.event_kinds import roots
from famulus.store.run import Run
from famulus.store.store import Store
from famulus.tasks.base import Facts
from famulus.training.energy import metering
from famulus.training.loop import Loop, Outcome, Status
from famulus.training.precision import Precision
from famulus.training.preflight import CostForecast, rehearse

ROLLBACKS = 5  # in one run; then it has failed
HALVED = 0.5  # of the learning rate, at each roll-back


@dataclass(frozen=True)
class Machine:
    """How cells run here: resolved once for an experiment, so that its cells stay comparable."""

    device: torch.device
    precision: Precision
    threads: int


@dataclass(frozen=True)
class Watcher:
    """What a cell tells while it runs, and what may interrupt it."""

    claimed: Callable[[Run], None] = lambda run: None
    status: Callable[[Status], None] = lambda status: None
    forecast: Callable[[CostForecast], None] = lambda forecast: None
    interrupted: Callable[[], str | None] = lambda: None


def execute(session: Session, cell: Ready, machine: Machine, watcher: Watcher) -> Outcome:
    """Trains `cell` to its end or interruption. Raises Busy while another process has it."""
    store = session.store
    run = store.create_run(cell.experiment, cell.slug, cell.id, cell.config)
    while True:
        with claim(run, session.lease_s) as attempt:
            watcher.claimed(run)
            outcome = _attempt(store, cell, attempt, machine, watcher)
        # a roll-back is a new attempt: it starts from the checkpoint as any other does
        if outcome.status != "rollback":
            return outcome


def _attempt(
    store: Store, cell: Ready, attempt: Attempt, machine: Machine, watcher: Watcher
) -> Outcome:
    run, setup = attempt.run, cell.setup(machine.device, machine.precision)
    attempt.record_lineage(_lineage(cell, attempt))
    if run.built_from() is None:  # a run of an older version gets it at its next resume
        run.write_built_from(basis_of(cell))
    start = attempt.start_from
    origin = cell.origin.open() if cell.origin and start is None else None
    if start is not None:
        origin = run.open_checkpoint(start)
    try:
        # What goes on was rehearsed when it began.
        forecast = rehearse(setup) if start is None else None
        if forecast:
            check_space(store, forecast)
            watcher.forecast(forecast)
        with metering(machine.device) as meter:
            loop = Loop(
                setup,
                attempt,
                origin=origin,
                warm=cell.warm.open() if cell.warm and origin is None else None,
                lr_factor=_rate_factor(attempt),
                meter=meter,
                interrupted=watcher.interrupted,
                watch=watcher.status,
            )
            if forecast:
                _emit_facts(cell, loop, machine, forecast)
            outcome = loop.run()
    except torch.OutOfMemoryError as error:
        raise FamulusError(
            f"{run.path}: out of memory on {machine.device} with training.batch ="
            f" {cell.training.batch}; lower it and raise training.accumulate as much: {error}"
        ) from error
    if outcome.status == "rollback":
        outcome = _rolled_back(run, outcome)
    if outcome.status in ("interrupted", "rollback"):
        attempt.end(outcome.status, why=outcome.reason, seconds=attempt.seconds())
    else:
        _finish(loop, outcome)
    return outcome


def check_space(store: Store, forecast: CostForecast) -> None:
    """Raises StoreError before the first step if the disk can't hold what is to come."""
    free = store.free_bytes()
    if free is not None and free < forecast.bytes:
        raise StoreError(
            f"{store.root}: this run will need about {forecast.bytes / 1e6:,.0f} MB, only"
            f" {free / 1e6:,.0f} MB are free; make room, choose another --store, or lower"
            " training.keep.last"
        )


def _lineage(cell: Ready, attempt: Attempt) -> dict[str, Any]:
    """What this attempt is made of; a parent only where it is a run of its own.

    An attempt that goes on takes over what the first one recorded: by now the parent may have
    removed that checkpoint, and a plain resume knows no overrides.
    """
    before = attempt.run.lineage()
    source = cell.origin or cell.warm
    parent = before.get("parent") or (source.record() if source else None)
    overrides = cell.overrides or before.get("overrides") or ()
    module = type(cell.task).__module__
    record = lineage.collect(parent, overrides, cell.data.fingerprint, module=module)
    return {**record, "checkpoint": attempt.start_from}


def _emit_facts(cell: Ready, loop: Loop, machine: Machine, forecast: CostForecast) -> None:
    """What is known before the first step: sizes, arithmetic, and the floors to judge against."""
    attempt, at = loop.attempt, {"step": loop.progress.step, "inputs": loop.progress.inputs}
    attempt.emit(
        {
            "kind": "facts",
            **at,
            "parameters": sum(p.numel() for p in loop.model.parameters()),
            "device": str(machine.device),
            "precision": machine.precision.json(),
            "threads": machine.threads,
            "train_samples": len(cell.data.train),
            "validation_samples": len(cell.data.validation),
            "data_notes": list(cell.data.notes),
            "leaks": [note for note in cell.data.notes if isinstance(note, Leak)],
            "copies": [note for note in cell.data.notes if isinstance(note, CopyNote)],
            "resized": cell.data.resized,
            "budget": loop.calendar.budget,
            "memory_mb": forecast.memory_bytes and round(forecast.memory_bytes / 1e6, 1),
            # the curve goes on, the bill does not
            "inherited": _inherited(cell, loop),
            **Facts.of(cell.task.facts()).json(),
            "scores": as_json(cell.task.SCORES),
        }
    )
    for floor in cell.task.floors(cell.data).values():
        facts = {"score": floor.score, "value": floor.value, "means": floor.means}
        attempt.emit({"kind": "floor", **at, **facts})
    origin = cell.config.get(ORIGIN)
    if origin:
        changed = ", ".join(cell.overrides) or "nothing changed"
        at_step = "" if origin["step"] is None else f" at step {origin['step']}"
        text = f"{origin['kind']} from {origin['run']}{at_step}: {changed}"
        attempt.emit({"kind": "mark", **at, "what": origin["kind"], "text": text})


def _rate_factor(attempt: Attempt) -> float:
    """Half the rate for each roll-back to the checkpoint that this attempt starts from."""
    attempts = attempt.run.attempts()
    starts = {a["n"]: a.get("start_from") for a in attempts}
    count = sum(
        1
        for a in attempts
        if a["ended"] == "rollback" and starts.get(a["n"] + 1) == attempt.start_from
    )
    # from the record of attempts: a resumed run has the same rate as one that was never stopped
    return HALVED**count


def _rolled_back(run: Run, outcome: Outcome) -> Outcome:
    """The outcome, unless there is nothing to go back to or it was tried too often."""
    before = sum(1 for a in run.attempts() if a["ended"] == "rollback")
    if before >= ROLLBACKS:
        return Outcome("failed", f"{outcome.reason}; {before} roll-backs did not help")
    return outcome


def _verdict(history: History) -> list[dict[str, Any]]:
    """Findings as events, and what was skipped."""
    verdict = judge(history)
    marks = [{"kind": "mark", "what": "diagnosis", "text": text} for text in verdict.skipped]
    return [*(finding.event() for finding in verdict.findings), *marks]


def _inherited(cell: Ready, loop: Loop) -> dict[str, float] | None:
    """What a child's totals hold of its parent's time and energy: it was paid for there."""
    if not cell.origin:
        return None
    at = loop.progress
    return {"seconds": at.seconds, "energy_wh": (at.energy or {}).get("joules", 0.0) / 3600}


def _energy(loop: Loop) -> dict[str, Any]:
    """Energy of all attempts and mean power; why not, where a meter broke; {} without one."""
    at = loop.progress
    if at.energy is None:
        return {"energy_lost": loop.meter.lost} if loop.meter and loop.meter.lost else {}
    joules = at.energy["joules"]
    watts = {"watts": round(joules / at.seconds, 3)} if at.seconds > 0 else {}
    return {"energy_wh": joules / 3600, "energy_of": at.energy["of"], **watts}


def _finish(loop: Loop, outcome: Outcome) -> None:
    """Verdict and totals, once: nothing follows done.json."""
    at, attempt = loop.progress, loop.attempt
    # The verdict reads the run's own files, so the last events must be there.
    attempt.flush()
    history = from_events(attempt.run.config(), attempt.run.curve(), type(loop.task))
    verdict = _verdict(history)
    for event in verdict:
        attempt.emit({"step": at.step, "inputs": at.inputs, **event})
    rates = [event["rate"] for event in history.train]
    waits = [event["wait"] for event in history.train]
    attempt.finish(
        {
            "status": outcome.status,
            "reason": outcome.reason,
            "step": at.step,
            "inputs": at.inputs,
            "seconds": round(at.seconds, 3),
            "scores": {k: v for k, v in at.scores.items() if math.isfinite(v)},
            "best": at.best,
            "findings": roots(verdict),
            "parameters": sum(p.numel() for p in loop.model.parameters()),
            **_energy(loop),
            "rate": sum(rates) / len(rates) if rates else None,
            "wait": sum(waits) / len(waits) if waits else None,
        }
    )
