"""`famulus new TASK --data PATH`: an experiment file that runs, written for data looked at.

The task proposes its settings (`Task.proposal`); here they get a budget, by timing real steps on
this machine, and become a file with what was seen as comments.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from famulus import tasks
from famulus.config.errors import ConfigError, DataError
from famulus.config.schema import Training
from famulus.config.yaml import dump, inline
from famulus.feed.source import Splits
from famulus.launch.board import duration
from famulus.launch.local import choose_device
from famulus.tasks.base import Task
from famulus.training.preflight import CostForecast, rehearse
from famulus.training.setup import Setup

BUDGET_S = 600.0
EPOCHS = 200  # at most: a small set would be shown thousands of times in ten minutes
VALIDATIONS, DRAWN = 10, 5  # in a run; and how often pictures are drawn
TRIAL = 1000  # steps of the run that is forecast, of which a few are taken
NOTES = 20  # lines of what was seen
WARMUP = 0.05  # of the budget


def experiment(task: str, name: str, allowed: Sequence[str] = ()) -> str:
    """The text of the file. Raises ConfigError, DataError where the data don't suit the task."""
    kind = tasks.load(task, allowed)
    if not _proposes(kind):
        able = ", ".join(n for n in tasks.names() if _proposes(tasks.load(n)))
        raise ConfigError(f"new {task} --data: expected a task among {able}, received {task}")
    written = place(name)
    proposal = kind.proposal(written)
    sections = {key: dict(value) for key, value in proposal.sections.items()}
    training = sections.pop("training", {})
    config = kind.Config.model_validate(sections)
    ready = kind(config, {})
    data = ready.data()
    training["batch"] = _batch(training.get("batch", 64), data)
    inputs, validations, why = _budget(ready, data, training)
    training = _planned(training, inputs, validations)
    reasons = [*proposal.reasons, *(f"note: {note}" for note in data.notes)]
    lines = [
        f"why: {inline(f'What does {task} make of {_name(written)}?')}",
        f"# Written by famulus new {task} --data {_line(name)}, which looked at the data:",
        *(f"#   {line}" for line in _shortened(reasons)),
        f"task: {task}",
        *_section("data", sections.pop("data", {})),
        *(line for key, value in sections.items() for line in _section(key, value)),
        f"# {why}",
        *_section("training", training),
        "expect:",
        "  - {finding: none, severity: error}",
    ]
    return "\n".join(lines) + "\n"


def place(name: str) -> str:
    """A path as the file names it: relative where it lies below the folder at hand."""
    path = Path(name).expanduser()
    if not path.is_absolute() or not path.is_relative_to(Path.cwd()):
        return name.rstrip("/") or name
    # with its folder: a path of one word would be taken for the name of a set
    return os.path.join(".", path.relative_to(Path.cwd()))


def _proposes(kind: type[Task]) -> bool:
    return kind.proposal.__func__ is not Task.proposal.__func__  # type: ignore[attr-defined]


def _batch(wanted: int, data: Splits) -> int:
    """Halved until the training part fills two."""
    if len(data.train) < 2:
        raise DataError(f"data: expected at least 2 training samples, received {len(data.train)}")
    while wanted > 1 and 2 * wanted > len(data.train):
        wanted //= 2
    return wanted


def _budget(task: Task, data: Splits, training: Mapping[str, Any]) -> tuple[int, int, str]:
    """(samples of the whole run, validations in it, the sentence that says why)."""
    batch = training["batch"]
    device, _ = choose_device("auto")
    trial = Training.model_validate(
        {
            **training,
            "inputs": TRIAL * batch,
            "validate_every": {"steps": TRIAL // VALIDATIONS},
            "pictures_every": {"steps": TRIAL // DRAWN},
        }
    )
    setup = Setup(task, data, trial, device)
    ahead: CostForecast = rehearse(setup)
    step_s = max(ahead.step_s, _loading_s(setup) if data.train.slow else 0.0, 1e-6)
    beside = ahead.seconds - TRIAL * ahead.step_s  # validations and pictures, as often as planned
    # where one takes long there are fewer: half of the budget is for training
    each_s = max(beside / (VALIDATIONS + 1), 1e-6)  # one more at the end
    validations = min(VALIDATIONS, max(1, int(BUDGET_S / 2 / each_s) - 1))
    beside = each_s * (validations + 1)
    left_s = max(BUDGET_S - beside, BUDGET_S / 2)
    most = EPOCHS * len(data.train)
    inputs = max(_rounded(min(left_s / step_s * batch, most)), VALIDATIONS * batch)
    seconds = beside + inputs / batch * step_s
    short = f"; {EPOCHS} epochs are the most that is proposed" if inputs >= 0.9 * most else ""
    rate = f"{batch / step_s:,.0f} samples/s"
    return (
        inputs,
        validations,
        f"About {duration(seconds)} on this machine: {rate} on {device} in fp32{short}.",
    )


def _loading_s(setup: Setup) -> float:
    """Seconds that the loader's threads take together for a batch."""
    began = time.perf_counter()
    setup.first_batch(setup.data.train, setup.training.batch)
    return (time.perf_counter() - began) / min(8, os.cpu_count() or 1)


def _planned(training: Mapping[str, Any], inputs: int, validations: int) -> dict[str, Any]:
    """With its budget and what is due when, in samples."""
    schedule = {"name": "cosine", "warmup_inputs": round(WARMUP * inputs)}
    each = {"inputs": max(1, inputs // validations)}
    return {
        "inputs": inputs,
        **training,
        "schedule": schedule,
        "validate_every": each,
        "checkpoint_every": each,
        "pictures_every": {"inputs": max(1, inputs // min(DRAWN, validations))},
    }


def _rounded(count: float) -> int:
    """Two digits: the timing knows no more."""
    return int(float(f"{count:.1e}"))


def _section(name: str, section: Mapping[str, Any]) -> Iterator[str]:
    if not section:
        return
    lines = dump({name: dict(section)}).splitlines()
    if name == "data" and "/" in str(section.get("name", "")):
        yield "# Paths are relative to the folder that famulus is run in."
    yield from lines


def _shortened(lines: Sequence[str]) -> list[str]:
    shown = [_line(line) for line in dict.fromkeys(lines)]
    more = len(shown) - NOTES
    return shown[:NOTES] + ([f"and {more:,} more: famulus data info"] if more > 0 else [])


def _line(text: str) -> str:
    """One line of a comment: a file's name may hold anything."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _name(written: str) -> str:
    return _line(Path(written).name or written)
