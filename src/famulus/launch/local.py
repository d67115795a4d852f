"""Cells of one experiment in this process, beside any other process on the same store.

Whoever claims a cell trains it. A cell that another process holds is looked at again later: it is
done by then, or its lease has ended and it is taken over.
"""

import os
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from famulus.config.errors import Busy, ConfigError, FamulusError, cause_of
from famulus.launch.board import Board, cost, duration
from famulus.launch.cell import Machine, Watcher, execute
from famulus.launch.foresight import Foresight
from famulus.launch.plan import Ready
from famulus.launch.signals import Interrupt
from famulus.store.attempt import Superseded
from famulus.store.leases import LEASE_S
from famulus.store.store import Store
from famulus.training.precision import Precision, fixed
from famulus.training.preflight import Forecast, choose_precision, choose_threads
from famulus.training.progress import Calendar

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
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        most = max(1, (cores or 1) // workers)
        if first.training.threads or most == 1 or device.type != "cpu":
            return first.training.threads or most
        return choose_threads(first.task, first.data, first.training, most)

    count = int(store.resolve_once(first.experiment, "threads", threads))
    torch.set_num_threads(count)

    def precision() -> dict:
        return choose_precision(auto.task, auto.data, auto.training, device).json()

    auto = next((cell for cell in cells if cell.training.precision == "auto"), None)
    if auto is None:  # nothing to measure; each cell says what it wants
        return Machine(device, fixed(first.training.precision), count)
    stored = store.resolve_once(first.experiment, f"precision-{device.type}", precision)
    return Machine(device, Precision(**stored), count)


def run_cells(
    store: Store,
    cells: Sequence[Ready],
    board: Board,
    *,
    workers: int = 1,
    lease_s: float = LEASE_S,
    wait: bool = True,
    debug: bool = False,
) -> Report:
    """Trains every cell that is not finished, and waits for those that others train.

    Without `wait`, a cell whose other process lives is an error; a lost process is waited for.
    """
    report = Report()
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
        while pending and not interrupt.reason():
            busy = []
            for cell in pending:
                if interrupt.reason():
                    break
                status = _one(store, cell, machine, board, interrupt, lease_s, wait, debug, report)
                if status == "busy":
                    busy.append(cell)
                report.outcomes[cell.slug] = status
            pending = busy
            if pending:
                _pause(interrupt)
        report.interrupted = interrupt.reason()
    return report


def _pause(interrupt: Interrupt) -> None:
    until = time.monotonic() + POLL_S
    while time.monotonic() < until and not interrupt.reason():
        time.sleep(0.1)


def _one(
    store: Store,
    cell: Ready,
    machine: Machine,
    board: Board,
    interrupt: Interrupt,
    lease_s: float,
    wait: bool,
    debug: bool,
    report: Report,
) -> str:
    """Status of the cell after this try: an outcome's, `error`, or `busy`."""
    run = store.create_run(cell.experiment, cell.slug, cell.id, cell.config)
    done = run.done()
    if done is not None:
        return _ended(cell, done, board, report, f"{done['status']}{_reason(done)}")
    started = time.monotonic()

    def forecast(ahead: Forecast) -> None:
        board.say(f"{cell.slug}: about {cost(ahead)} to come")

    foresight = Foresight(cell.config, _known(cell))
    watcher = Watcher(
        claimed=foresight.claimed,
        status=lambda status: board.running(cell.slug, status, foresight.follow(status)),
        forecast=forecast,
        interrupted=interrupt.reason,
    )
    if cell.training.precision != "auto":
        machine = Machine(machine.device, fixed(cell.training.precision), machine.threads)
    try:
        outcome = execute(store, cell, machine, watcher, lease_s)
    except (Busy, Superseded) as error:
        if wait or isinstance(error, Superseded) or run.status() != "running":
            board.state(cell.slug, f"another process has it: {error}")
            return "busy"
        return _error(cell, str(error), board, report, error.exit_code)
    except FamulusError as error:
        if debug:
            raise
        return _error(cell, str(error), board, report, error.exit_code, error.cause)
    except Exception as error:
        if debug:
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(last.filename)}:{last.lineno}"
        text = str(error).strip().splitlines()[0] if str(error).strip() else ""
        told = f"{type(error).__name__} at {where}: {text} (--debug shows all)"
        return _error(cell, told, board, report, cause=cause_of(error))
    if outcome.status == "interrupted":
        board.state(cell.slug, f"interrupted: famulus resume {cell.id} goes on")
        return outcome.status
    done = run.done() or {}
    scores = " ".join(f"{name} {value:.5g}" for name, value in done.get("scores", {}).items())
    took = duration(time.monotonic() - started)
    energy = f" · {done['energy_wh']:,.3g} Wh" if done.get("energy_wh") else ""
    text = f"{outcome.status}{_reason(done)} in {took} · {scores}{energy}"
    return _ended(cell, done or vars(outcome), board, report, text)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _known(cell: Ready) -> dict[str, Any]:
    """What a forecast must know beside the settings."""
    samples = len(cell.data.train)
    budget = Calendar(cell.training, samples).budget
    return {**cell.task.facts(), "train_samples": samples, "budget": budget}


def _ended(cell: Ready, done: Mapping[str, Any], board: Board, report: Report, text: str) -> str:
    board.state(cell.slug, text)
    if done["status"] == "failed":
        report.fail(cell.slug, f"failed{_reason(done)}")
    return done["status"]


def _error(
    cell: Ready, text: str, board: Board, report: Report, exit_code: int = 1, cause: str = ""
) -> str:
    board.state(cell.slug, f"error: {text}")
    report.fail(cell.slug, text, exit_code, cause)
    return "error"


def _reason(done: Mapping[str, Any]) -> str:
    return f" ({done['reason']})" if done.get("reason") else ""
