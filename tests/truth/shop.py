"""A small laboratory: experiment files of the built-in tasks, commands, and pages to be read.

Runs are real where the training matters (a tenth of a second each, on scikit-learn's digits).
Where only their outcome matters, `played` lets the same commands run, and a cell's training is
replaced by the events of a `Play`: what is planned, recorded and written is then still the
program's own doing.
"""

import contextlib
import copy
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from famulus.config import yaml
from famulus.config.scores import as_json
from famulus.diagnosis.history import from_events
from famulus.diagnosis.verdict import diagnose
from famulus.launch import local
from famulus.store import layout, lineage, records
from famulus.store.claims import claim
from famulus.store.run import Run
from famulus.store.store import Store
from famulus.training.loop import Outcome
from tests.launch.tiny import Said, famulus
from tests.truth.reading import Page

DIGITS: dict[str, Any] = {
    "why": "does the record tell the truth?",
    "task": "tiles",
    "data": {"name": "digits", "subset": 128, "validation": 32},
    "model": {"kind": "vae", "channels": [4], "code": 8},
    "loss": {"reconstruction": "l1", "kl_weight": 0.001},
    "training": {
        "inputs": 160, "batch": 32,
        "optimizer": {"name": "adam", "lr": 0.001},
        "schedule": {"name": "constant"}, "precision": "fp32",
        "validate_every": {"steps": 2}, "checkpoint_every": {"steps": 2},
        "pictures_every": None, "log_every": {"steps": 1}, "threads": 1,
    },
}  # fmt: skip
INK: dict[str, Any] = {
    "why": "can a small net see ink?",
    "task": "scroll",
    "data": {"name": "papyrus", "phantom": {"shape": [16, 64, 64]}, "cube": [16, 32, 32],
             "validation": [1]},
    "model": {"kind": "ink", "widths": [4, 8], "stage": "block", "head": 4},
    "training": DIGITS["training"] | {"batch": 8},
}  # fmt: skip
DIPOLE: dict[str, Any] = {
    "why": "do learned steps beat TKD, Tikhonov and NDI?",
    "task": "qsm",
    "data": {"name": "shapes", "train": 4, "validation": 2},
    "model": {"steps": 2},
    "training": DIGITS["training"] | {"batch": 2},
}
QUESTION: dict[str, Any] = {
    "why": "what does a pretext teach?",
    "task": "pretext",
    "data": {"name": "digits", "subset": 128, "validation": 32, "pretext": "rotation"},
    "model": {"encoder": {"kind": "conv", "channels": [4, 8], "stem": 1}},
    "training": DIGITS["training"],
}


def changed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with dotted keys set, as {"training.batch": 8}."""
    whole = copy.deepcopy(dict(base))
    for dotted, value in changes.items():
        *path, last = dotted.split(".")
        here = whole
        for part in path:
            here = here.setdefault(part, {})
        here[last] = value
    return whole


@dataclass
class Play:
    """What a run is to have done. `scores` are those of its last validation, without `val/`.

    `floors`: (score, value, what it means). `findings`: fields of finding events.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    curve: Sequence[float] = ()  # of the training loss, a log each; else it falls to the loss
    floors: Sequence[tuple[str, float, str]] = ()
    findings: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    status: str = "finished"
    reason: str = ""
    seconds: float = 60.0
    time: str = ""  # of attempt and end, ISO; else now
    checkpoint: bool = False
    diagnosed: bool = False  # the doctor's own findings, as after a training, not `findings`


def finding(cause: str, severity: str = "error", **fields: Any) -> dict[str, Any]:
    blank = {
        "evidence": f"figures of {cause}",
        "remedy": f"what helps against {cause}",
        "under": "",
    }
    return {"kind": "finding", "cause": cause, "severity": severity, **blank, **fields}


Plot = Callable[
    [dict[str, Any]], Play | None
]  # axes -> what comes of it; None: interrupted at once


@contextlib.contextmanager
def played(plot: Plot) -> Iterator[list[str]]:
    """Within, cells are not trained: `plot` says what comes of them. Gives their slugs as begun."""
    begun: list[str] = []

    def execute(session: Any, cell: Any, machine: Any, watcher: Any) -> Outcome:
        run = session.store.create_run(cell.experiment, cell.slug, cell.id, cell.config)
        begun.append(cell.slug)
        play = plot(dict(cell.axes))
        with claim(run, session.lease_s) as attempt:
            if play is None:
                attempt.end("interrupted")
                return Outcome("interrupted", "")
            attempt.record_lineage(lineage.collect(None, cell.overrides, cell.data.fingerprint))
            _perform(attempt, cell, play)
        return Outcome(play.status, play.reason)

    original = local.execute
    local.execute = execute
    try:
        yield begun
    finally:
        local.execute = original


def _perform(attempt: Any, cell: Any, play: Play) -> None:
    """Events of a whole run: facts, floors, logs, validations, findings, and its end."""
    inputs, batch = cell.training.inputs or 160, cell.training.batch
    steps = max(2, inputs // batch)
    attempt.emit(
        {"kind": "facts", "step": 0, "inputs": 0, "parameters": 1000, "device": "cpu",
         "precision": {"name": "fp32"}, "threads": 1, "train_samples": len(cell.data.train),
         "validation_samples": len(cell.data.validation), "data_notes": list(cell.data.notes),
         "budget": inputs, "scores": as_json(cell.task.SCORES), **play.facts}
    )  # fmt: skip
    for score, value, means in play.floors:
        stated = {"score": score, "value": value, "means": means}
        attempt.emit({"kind": "floor", "step": 0, "inputs": 0, **stated})
    last = play.scores.get("loss", 1.0)
    curve = list(play.curve) or [last + (1 - n / steps) * abs(last) for n in range(1, steps + 1)]
    lr = cell.training.optimizer.lr
    for n, value in enumerate(curve, 1):
        step = max(1, round(n * steps / len(curve)))
        at = {"step": step, "inputs": step * batch, "s": play.seconds * n / len(curve)}
        log = {"kind": "train", **at, "values": {"total": value}, "lr": lr, "rate": 500.0}
        attempt.emit(log | {"wait": 0.01})
        if n in (max(1, len(curve) // 2), len(curve)) and play.scores:
            early = n < len(curve)
            values = {k: v * (1.01 if early else 1.0) for k, v in play.scores.items()}
            attempt.emit({"kind": "val", **at, "values": values})
    for event in play.events:
        attempt.emit({"step": steps, "inputs": steps * batch, **event})
    attempt.flush()
    history = from_events(attempt.run.config(), attempt.run.curve())
    verdict = [f.event() for f in diagnose(history)] if play.diagnosed else play.findings
    for event in verdict:
        attempt.emit({"step": steps, "inputs": steps * batch, **event})
    if play.checkpoint:
        attempt.save_checkpoint(steps, {"model.safetensors": b"w"}, {"step": steps})
    if play.time:
        files, path = attempt.run.files, layout.attempt(attempt.run.path, attempt.n)
        files.write(path, records.encode({**records.read(files, path), "time": play.time}))
    done = {
        "status": play.status, "reason": play.reason, "step": steps, "inputs": steps * batch,
        "seconds": play.seconds, "scores": {f"val/{k}": v for k, v in play.scores.items()},
        "best": None, "parameters": 1000, "rate": 500.0, "wait": 0.01,
    }  # fmt: skip
    attempt.finish(done | ({"time": play.time} if play.time else {}))


class Shop:
    """A folder with experiment files, and its store `runs`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "runs"
        self.files = folder / "experiments"

    def write(
        self, base: Mapping[str, Any] = DIGITS, name: str = "tiny", /, comment: str = "",
        suffix: str = ".yaml", **changes: Any,
    ) -> Path:  # fmt: skip
        """An experiment file; dotted keys with `__` for the dot: training__batch=8."""
        dotted = {key.replace("__", "."): value for key, value in changes.items()}
        whole = changed(base, dotted)
        order = ["why", "name", "task", "matrix", "replicates"]
        text = yaml.dump(dict(sorted(whole.items(), key=lambda item: (
            order.index(item[0]) if item[0] in order else len(order)))))  # fmt: skip
        path = self.files / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {comment}\n{text}" if comment else text, encoding="utf-8")
        return path

    def do(self, command: str, *words: object, code: int | None = 0) -> Said:
        """A command on this store; it must end with `code` (None: whatever comes)."""
        said = famulus(command, *words, "--store", self.root)
        assert code is None or said.code == code, f"{command} {words}: {said.err}"
        return said

    def play(self, path: Path, plot: Plot | Play, *words: object, code: int | None = 0) -> Said:
        """`run` of a file whose cells end as `plot` says; one Play for all of them."""
        chosen = plot if callable(plot) else lambda axes: plot
        with played(chosen):
            return self.do("run", path, "--no-journal", *words, code=code)

    @property
    def store(self) -> Store:
        return Store.open(self.root)

    def runs(self, name: str = "tiny") -> list[Run]:
        return self.store.runs(name)

    def status(self) -> list[dict[str, Any]]:
        return self.do("status", "--json").json()

    def compare(self, *words: object) -> dict[str, Any]:
        return self.do("compare", *words, "--json").json()

    def journal(self) -> Path:
        """The folder of pages, written anew."""
        self.do("journal")
        return self.root / "journal"

    def entry(self, name: str = "tiny") -> Page:
        return Page(self.journal() / name / "index.html")

    def markdown(self, name: str = "tiny") -> str:
        return (self.journal() / name / "index.md").read_text(encoding="utf-8")

    def index(self) -> Page:
        return Page(self.journal() / "index.html")

    def run_page(self, run: Run) -> Page:
        """The page of one run, by its id."""
        return Page(next((self.journal() / run.experiment / "runs").glob(f"*{run.id}*.html")))


def holds(value: Any, wanted: Any) -> bool:
    """Does JSON hold a value anywhere, as itself or as a word of a text?"""
    if isinstance(value, Mapping):
        return any(holds(v, wanted) for v in value.values())
    if isinstance(value, list):
        return any(holds(v, wanted) for v in value)
    if isinstance(value, bool) or value is None:
        return value is wanted
    if isinstance(value, int | float):
        return isinstance(wanted, int | float) and math.isclose(value, wanted)
    return str(wanted) in str(value).replace("=", " ").replace(",", " ").split()


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """The working directory is `folder`."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def everything(folder: Path) -> str:
    """All files below a folder as one text, for a search."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return "\n".join(p.read_bytes().decode("utf-8", errors="replace") for p in files)


def results(shop: Shop, name: str = "tiny") -> list[dict[str, Any]]:
    """Rows of the page's results.json."""
    return json.loads((shop.journal() / name / "results.json").read_text())["rows"]
