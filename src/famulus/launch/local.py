"""Cells of one experiment in this process, beside any other process on the same store.

Whoever claims a cell trains it. A cell that another process holds is looked at again later: it is
done by then, or its lease has ended and it is taken over.
"""

import os
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from famulus.config.errors import Busy, ConfigError, FamulusError, cause_of
from famulus.launch.board import Board, cost, duration
from famulus.launch.cell import Machine, Watcher, execute
from famulus.launch.foresight import Foresight
from famulus.launch.plan import Ready
from famulus.launch.session import Session
from famulus.launch.signals import Interrupt
from famulus.store.attempt import Superseded
from famulus.store.run import CONTINUED, Run
from famulus.store.store import Store
from famulus.tasks.base import Facts
from famulus.training.precision import Precision, fixed
from famulus.training.preflight import choose_precision, choose_threads
from famulus.training.progress import Calendar

NOTES = 12  # of the data, that are said before a training
POLL_S = 2.0  # between two looks at cells that others hold


@dataclass
class Report:
    """What became of the cells, by slug."""

    outcomes: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)  # what is wrong with those that failed
    causes: dict[str, str] = field(default_factory=dict)  # where a refusal names one
    interrupted: str | None = None
    exit_code: int = 0  # of the first that failed

    @property
    def failed(self) -> list[str]:
        return list(self.errors)

    def fail(self, slug: str, text: str, exit_code: int = 1, cause: str = "") -> None:
        """1 where a run failed; where it could not be trained, what that error says."""
        self.errors[slug] = " ".join(text.split())
        if cause:
            self.causes[slug] = cause
        self.exit_code = self.exit_code or exit_code

    def told(self) -> str:
        """What failed, in one line."""
        slug, text = next(iter(self.errors.items()))
        more = len(self.errors) - 1
        others = f" (and {more} more {'cell' if more == 1 else 'cells'})" if more else ""
        return f"{slug}: {text}{others}"


def choose_device(wanted: str) -> tuple[torch.device, str | None]:
    """The device, and a warning if a CPU does what a GPU was probably meant to do."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("training.device: expected a CUDA device, found none that torch can use")
    if wanted == "cpu" or not torch.cuda.is_available():
        unused = wanted == "auto" and shutil.which("nvidia-smi") is not None
        warning = "a GPU seems to be there, but this torch can't use it: training on the CPU"
        return torch.device("cpu"), warning if unused else None
    return torch.device("cuda", 0), None


def settle(store: Store, cells: Sequence[Ready], workers: int, board: Board) -> Machine:
    """Device, precision and threads, once for all cells of an experiment."""
    first = cells[0]
    device, warning = choose_device(first.training.device)
    if warning:
        board.say(f"warning: {warning}")

    def threads() -> int:
        # A container or a queue may lend fewer cores than the machine has.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        most = max(1, (cores or 1) // workers)
        if first.training.threads or most == 1 or device.type != "cpu":
            return first.training.threads or most
        return choose_threads(first.setup(device), most)

    count = int(store.resolve_once(first.experiment, "threads", threads))
    torch.set_num_threads(count)

    auto = next((cell for cell in cells if cell.training.precision == "auto"), None)
    if auto is None:  # nothing to measure; each cell says what it wants
        return Machine(device, fixed(first.training.precision), count)
    setup = auto.setup(device)
    # By the kind of device: what is fastest on a CPU says nothing of a GPU.
    stored = store.resolve_once(
        first.experiment, f"precision-{device.type}", lambda: choose_precision(setup).json()
    )
    return Machine(device, Precision(**stored), count)


def run_cells(
    session: Session, cells: Sequence[Ready], board: Board, *, workers: int = 1, wait: bool = True
) -> Report:
    """Trains every cell that is not finished, and waits for those that others train.

    Without `wait`, a cell whose other process lives is an error; a lost process is waited for.
    """
    store = session.store
    machine = settle(store, cells, workers, board)
    gain = f", {machine.precision.gain} x fp32" if machine.precision.gain else ""
    layout = ", channels last" if machine.precision.channels_last else ""
    board.say(
        f"{_counted(len(cells), 'cell')} · {machine.device} · {_counted(machine.threads, 'thread')}"
        f" · {machine.precision.name}{layout}{gain} · store {store.root}"
    )
    if not store.exclusive:
        board.say("note: this store can't keep two writers apart; run only one process on it")
    pending = list(cells)
    with Interrupt() as interrupt:
        shift = Shift(session, machine, board, interrupt, wait)
        while pending and not interrupt.reason():
            pending = [cell for cell in pending if shift.train(cell) == "busy"]
            if pending:
                _pause(interrupt)
        shift.report.interrupted = interrupt.reason()
    return shift.report


def _pause(interrupt: Interrupt) -> None:
    until = time.monotonic() + POLL_S
    while time.monotonic() < until and not interrupt.reason():
        time.sleep(0.1)  # short naps: Ctrl-C is noticed soon


@dataclass(frozen=True)
class Shift:
    """One process at work on cells, until they are done or a person interrupts."""

    session: Session
    machine: Machine
    board: Board
    interrupt: Interrupt
    wait: bool
    report: Report = field(default_factory=Report)
    noted: set[str] = field(default_factory=set)  # of the data, as they were said

    def train(self, cell: Ready) -> str:
        """Status of the cell after this try: an outcome's, `error`, or `busy`; '' once interrupted,
        for cells that were not begun."""
        if self.interrupt.reason():
            return ""
        self.report.outcomes[cell.slug] = status = self._try(cell)
        return status

    def _try(self, cell: Ready) -> str:
        session, board = self.session, self.board
        if fork := _fork_of_gone(session.store, cell):
            text = (
                f"its run {cell.id} is gone; {fork.id}, finished, was forked from it and stands for"
                f" it: to train the cell again, remove {fork.path}, too"
            )
            board.state(cell.slug, text)
            return "forked"
        run = session.store.create_run(cell.experiment, cell.slug, cell.id, cell.config)
        done = run.done()
        if done is not None:
            return self._ended(cell, done, f"{done['status']}{_reason(done)}")
        started = time.monotonic()
        try:
            self._note(cell)
            outcome = execute(session, cell, self._machine_of(cell), self._watcher(cell))
        except (Busy, Superseded) as error:
            # One that is lost, or was taken over, is waited for; a living one only if that was
            # asked.
            if self.wait or isinstance(error, Superseded) or run.status() != "running":
                board.state(cell.slug, f"another process has it: {error}")
                return "busy"
            return self._error(cell, str(error), error.exit_code)
        except FamulusError as error:
            if session.debug:
                raise
            return self._error(cell, str(error), error.exit_code, error.cause)
        except Exception as error:
            if session.debug:
                raise
            return self._error(cell, _in_one_line(error), cause=cause_of(error))
        if outcome.status == "interrupted":
            board.state(cell.slug, f"interrupted: famulus resume {cell.id} goes on")
            return outcome.status
        done = run.done() or {}
        scores = " ".join(f"{name} {value:.5g}" for name, value in done.get("scores", {}).items())
        took = duration(time.monotonic() - started)
        energy = f" · {done['energy_wh']:,.3g} Wh" if done.get("energy_wh") else ""
        text = f"{outcome.status}{_reason(done)} in {took} · {scores}{energy}"
        return self._ended(cell, done or vars(outcome), text)

    def _note(self, cell: Ready) -> None:
        """Says what was noticed in the data, once for all cells, before the training."""
        notes = [note for note in cell.data.notes if note not in self.noted]
        self.noted.update(notes)
        for note in notes[:NOTES]:
            self.board.say(f"note: {note}")
        if len(notes) > NOTES:
            self.board.say(f"note: {len(notes) - NOTES:,} more stand on the page")

    def _machine_of(self, cell: Ready) -> Machine:
        if cell.training.precision == "auto":
            return self.machine
        return replace(self.machine, precision=fixed(cell.training.precision))

    def _watcher(self, cell: Ready) -> Watcher:
        board, foresight = self.board, Foresight(cell.config, _known(cell))
        return Watcher(
            claimed=foresight.claimed,
            status=lambda status: board.running(cell.slug, status, foresight.follow(status)),
            forecast=lambda ahead: board.say(f"{cell.slug}: about {cost(ahead)} to come"),
            interrupted=self.interrupt.reason,
        )

    def _ended(self, cell: Ready, done: Mapping[str, Any], text: str) -> str:
        self.board.state(cell.slug, text)
        if done["status"] == "failed":
            self.report.fail(cell.slug, f"failed{_reason(done)}")
        return done["status"]

    def _error(self, cell: Ready, text: str, exit_code: int = 1, cause: str = "") -> str:
        self.board.state(cell.slug, f"error: {text}")
        self.report.fail(cell.slug, text, exit_code, cause)
        return "error"


def _fork_of_gone(store: Store, cell: Ready) -> Run | None:
    """The finished run that goes on from this cell's, where that was removed.

    What the cell asked for was trained once, and is a part of the fork's curve.
    """
    if cell.origin or Run(store.home, cell.experiment, cell.slug, cell.id).exists():
        return None
    for run in store.runs(cell.experiment):
        if run.slug == cell.slug and run.id != cell.id and run.status() == "finished":
            parent = run.lineage().get("parent") or {}
            if parent.get("id") == cell.id and parent.get("kind") in CONTINUED:
                return run
    return None


def _in_one_line(error: Exception) -> str:
    """What an error that nobody foresaw says, and where it was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}:{last.lineno}"
    text = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return f"{type(error).__name__} at {where}: {text} (--debug shows all)"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _known(cell: Ready) -> dict[str, Any]:
    """What a forecast must know beside the settings."""
    samples = len(cell.data.train)
    budget = Calendar(cell.training, samples).budget
    return {**Facts.of(cell.task.facts()).json(), "train_samples": samples, "budget": budget}


def _reason(done: Mapping[str, Any]) -> str:
    return f" ({done['reason']})" if done.get("reason") else ""
